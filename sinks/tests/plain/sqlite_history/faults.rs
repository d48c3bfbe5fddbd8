//! Cost of a kill, a full disk and damage: nothing that was committed.

use std::path::Path;

use energi_sinks::SinkError;
use energi_sinks::sqlite::WriterLock;

use super::place::{Place, at, hour, hours, rows};
use support::disk::Disk;
use support::readings::Device;
use support::stranger;

fn damage(path: &Path, from: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    for byte in &mut bytes[from..] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_history_is_replaced() {
    for from in [0, 100, 5_000] {
        let place = Place::new();
        let readings = Device::default().life(at("2026-01-20T10:00:00Z"), hours(1));
        place.store(&readings).await;
        damage(&place.path(), from);
        // Not closed in order: the file is looked through.
        std::fs::write(place.directory.path().join("energi.db-wal"), [0; 100]).unwrap();
        place.store(&readings).await;
        let expected = Place::new();
        expected.store(&readings).await;
        assert_eq!(place.all(), expected.all());
        let files = place.files();
        assert!(files.iter().any(|name| name.starts_with("energi.db.corrupt-")), "{files:?}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_of_a_run_loses_no_batch() {
    let place = Place::new();
    let readings = Device::default().life(at("2026-01-20T10:00:00Z"), hours(2));
    let (before, after) = readings.split_at(readings.len() / 2);
    place.store(before).await;
    damage(&place.path(), 5_000);
    place.store(after).await;
    let expected = Place::new();
    expected.store(after).await;
    let samples = "SELECT * FROM sample ORDER BY 1, 2, 3, 4";
    assert_eq!(rows(&place.sql(), samples), rows(&expected.sql(), samples));
}

#[tokio::test]
async fn a_file_removed_while_in_use_is_created_again() {
    let place = Place::new();
    let reading = [Device::default().powers(at("2026-01-20T10:00:00Z"), 1, 2, 3)];
    let mut sink = place.open().await.unwrap();
    sink.write(&reading).await.unwrap();
    std::fs::remove_file(place.path()).unwrap();
    let error = sink.write(&reading).await.unwrap_err();
    assert!(matches!(&error, SinkError::Permanent(text) if text.contains("removed or replaced")));
    // What runs it opens it again at once, and offers the same batch.
    let mut sink = place.open().await.unwrap();
    sink.write(&reading).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(rows(&place.sql(), "SELECT count(*) FROM sample"), ["Integer(3)"]);
}

/// Variable with the path to which the child of the test below writes.
const CHILD: &str = "ENERGI_TEST_HISTORY";

/// Child process that the next tests start and kill; no test by itself.
#[tokio::test]
async fn child_of_the_next_tests() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let mut place = Place::new();
    place.at = Some(directory.into());
    let mut sink = place.open().await.unwrap();
    for batch in hour().chunks(20) {
        sink.write(batch).await.unwrap();
        println!("committed");
    }
    // Dropped without a close, as it would be by the kill that comes.
    std::future::pending::<()>().await;
}

/// Starts another process that writes, and kills it after 40 batches.
fn write_and_kill(place: &Place) {
    use std::io::BufRead;

    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_history::faults::child_of_the_next_tests", "--nocapture"])
        .env(CHILD, place.directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let commits = lines.filter(|line| line.as_ref().unwrap().contains("committed")).take(40);
    assert_eq!(commits.count(), 40);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_run_goes_on_where_a_killed_one_stopped() {
    let place = Place::new();
    write_and_kill(&place);
    let readings = hour();
    let stored: i64 =
        place.sql().query_row("SELECT count(*) FROM reading", [], |row| row.get(0)).unwrap();
    assert!(stored >= 40 * 20, "{stored} of {}", readings.len());
    assert_eq!(rows(&place.sql(), "PRAGMA integrity_check"), ["Text([111, 107])"]);

    place.store(&readings).await;
    let expected = Place::new();
    expected.store(&readings).await;
    assert_eq!(place.all(), expected.all());
    assert!(!place.files().iter().any(|name| name.contains("corrupt")));
}

#[tokio::test]
async fn a_damaged_file_behind_a_link_is_moved_aside_there() {
    let place = Place::new();
    let there = place.directory.path().join("there");
    std::fs::create_dir(&there).unwrap();
    std::os::unix::fs::symlink("there/energi.db", place.path()).unwrap();
    write_and_kill(&place);
    assert!(there.join("energi.db-wal").exists());
    damage(&place.path(), 0);
    place.store(&hour()).await;

    let expected = Place::new();
    expected.store(&hour()).await;
    assert_eq!(place.all(), expected.all());
    assert!(place.path().is_symlink() && there.join("energi.db").exists());
    let entries = std::fs::read_dir(&there).unwrap();
    let names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let aside = |end: &str| names.iter().any(|it| it.contains(".corrupt-") && it.ends_with(end));
    assert!(aside("Z") && aside("Z-wal"), "{names:?}");
}

#[tokio::test]
async fn a_history_whose_lock_root_made_is_still_its_users() {
    let place = Place::new();
    if !stranger::owns(place.directory.path()) {
        return;
    }
    stranger::does(async || place.store(&[]).await);
    std::fs::remove_file(place.directory.path().join("energi.db.lock")).unwrap();
    drop(WriterLock::take(&place.path()).unwrap());
    assert!(place.directory.path().join("energi.db.lock").exists());
    stranger::does(async || place.store(&[]).await);
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let mut place = Place::new();
    let path = place.directory.path().join("disk");
    let Some(disk) = Disk::mount(path.clone(), "size=1m") else { return };
    place.at = Some(path);
    let readings = Device::default().life(at("2026-01-20T00:00:00Z"), hours(24));
    let mut sink = place.open().await.unwrap();
    let mut full = false;
    for batch in readings.chunks(2_000) {
        while let Err(error) = sink.write(batch).await {
            full = true;
            assert!(
                matches!(&error, SinkError::Transient { message: text, .. } if text.contains("energi.db")),
                "{error:?}"
            );
            assert!(disk.remount("size=64m"), "room is made");
        }
    }
    sink.close().await.unwrap();
    let found = place.all();
    drop((sink, disk));
    let expected = Place::new();
    expected.store(&readings).await;
    assert!(full, "the disk was never full");
    assert_eq!(found, expected.all());
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn a_truncated_history_is_moved_aside_with_its_log() {
    for pages in [0, 2] {
        let place = Place::new();
        place.store(&Device::default().life(at("2026-01-19T00:00:00Z"), hours(24))).await;
        write_and_kill(&place);
        let (file, log) = (place.path(), place.directory.path().join("energi.db-wal"));
        let logged = std::fs::read(&log).unwrap();
        assert!(!logged.is_empty());
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..pages * 4096]).unwrap();
        // A reader leaves the log alone.
        if pages == 0 {
            assert!(energi_sinks::sqlite::open_for_reading(&file).is_err());
            assert!(std::fs::read(&log).unwrap() == logged, "a reader changed the log");
        }

        let readings = hour();
        place.store(&readings).await;
        let names = place.files();
        let aside = |end: &str| {
            let name = names.iter().find(|name| name.contains(".corrupt-") && name.ends_with(end));
            place.directory.path().join(name.unwrap_or_else(|| panic!("no {end} in {names:?}")))
        };
        assert!(std::fs::read(aside("-wal")).unwrap() == logged, "the log was changed");
        assert_eq!(size(&aside("Z")), pages as u64 * 4096);
        let expected = Place::new();
        expected.store(&readings).await;
        assert_eq!(place.all(), expected.all());
    }
}
