//! Files that are not taken, and why.

use energi_sinks::sqlite::{APPLICATION_ID, SqliteConfig, VERSION};
use energi_sinks::{SinkConfig, SinkError};

use super::place::{Place, at};
use support::readings::Device;

#[tokio::test]
async fn a_file_of_another_program_is_left_alone() {
    let place = Place::new();
    std::fs::write(
        place.path(),
        "my notes, which are longer than a header of a hundred bytes. ".repeat(3),
    )
    .unwrap();
    let before = std::fs::read(place.path()).unwrap();
    let text = place.refusal().await;
    assert!(text.contains("energi.db") && text.contains("not a SQLite"), "{text}");
    assert!(place.refusal().await.contains("not a SQLite"));
    assert_eq!(std::fs::read(place.path()).unwrap(), before);

    for mode in ["delete", "wal"] {
        let place = Place::new();
        let other = place.sql();
        other.pragma_update(None, "journal_mode", mode).unwrap();
        other.execute_batch("CREATE TABLE shopping (item TEXT)").unwrap();
        drop(other);
        let before = std::fs::read(place.path()).unwrap();
        let text = place.refusal().await;
        assert!(text.contains("another program"), "{text}");
        assert_eq!(std::fs::read(place.path()).unwrap(), before);
        assert_eq!(place.files(), ["energi.db"], "{mode}");
    }
}

#[tokio::test]
async fn a_file_beside_a_lock_of_the_user_is_left_alone() {
    let notes = "my notes, which are longer than a header of a hundred bytes. ".repeat(3);
    for lock in ["", "locked by hand\n", "12 eggs\n6 apples\n"] {
        let place = Place::new();
        let beside = place.directory.path().join("energi.db.lock");
        std::fs::write(place.path(), &notes).unwrap();
        std::fs::write(&beside, lock).unwrap();
        let text = place.refusal().await;
        assert!(text.contains("not a SQLite"), "{text}");
        assert_eq!(std::fs::read_to_string(place.path()).unwrap(), notes);
        assert_eq!(std::fs::read_to_string(&beside).unwrap(), lock);
        assert_eq!(place.files(), ["energi.db", "energi.db.lock"]);
    }

    let place = Place::new();
    let beside = place.directory.path().join("energi.db.lock");
    std::fs::write(&beside, "locked by hand\n").unwrap();
    let probed = place.config().probe(&place.context()).await.unwrap_err().to_string();
    for text in [place.refusal().await, probed] {
        assert!(text.contains("energi.db.lock"), "{text}");
    }
    assert_eq!(std::fs::read_to_string(&beside).unwrap(), "locked by hand\n");
    assert_eq!(place.files(), ["energi.db.lock"]);
}

#[tokio::test]
async fn a_probe_changes_nothing() {
    let place = Place::new();
    let probe = async |config: SqliteConfig| config.probe(&place.context()).await;
    let text = probe(place.config()).await.unwrap();
    assert!(text.contains("energi.db") && text.contains("created"), "{text}");
    assert!(place.files().is_empty());

    place.store(&[Device::default().powers(at("2026-01-20T10:00:00Z"), 1, 2, 3)]).await;
    let files = place.files();
    let text = probe(place.config()).await.unwrap();
    assert!(text.contains("energi.db: 1 days"), "{text}");
    assert_eq!(place.files(), files);

    // Nobody can make a file there, root neither.
    let config = SqliteConfig { path: "/sys/energi.db".into(), ..place.config() };
    let Err(SinkError::Permanent(text)) = probe(config).await else {
        panic!("a history cannot be made there")
    };
    assert!(text.contains("/sys is read-only"), "{text}");
}

#[tokio::test]
async fn a_newer_history_is_refused() {
    let place = Place::new();
    place.store(&[]).await;
    place.sql().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let text = place.refusal().await;
    assert!(text.contains("newer release") && text.contains("update energi-gateway"), "{text}");
    let found: i32 =
        place.sql().pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    assert_eq!(found, APPLICATION_ID);
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let place = Place::new();
    place.store(&[]).await;
    let mut permissions = std::fs::metadata(place.path()).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(place.path(), permissions).unwrap();
    let text = place.refusal().await;
    assert!(text.contains("energi.db is read-only"), "{text}");
}

#[tokio::test]
async fn a_directory_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path()).unwrap();
    assert!(place.refusal().await.contains("directory"));
}

#[tokio::test]
async fn a_missing_directory_is_refused_with_the_command() {
    let place = Place::new();
    let config =
        SqliteConfig { path: place.directory.path().join("no/where.db"), ..place.config() };
    let Err(SinkError::Permanent(text)) = config.open(&place.context()).await else {
        panic!("a missing directory is not made")
    };
    assert!(text.contains("mkdir -p"), "{text}");
}
