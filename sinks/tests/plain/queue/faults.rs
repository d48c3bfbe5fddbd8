//! Cost of a kill, a full disk, damage and other people's files.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};

use energi_sinks::SinkError;
use energi_sinks::queue::{self, APPLICATION_ID, DiskQueue, Payload, QueuePosition, VERSION};
use rusqlite::Connection;

use super::{batch, files, numbers, options};
use support::disk::Disk;

async fn refusal(directory: &Path) -> String {
    match DiskQueue::open(options(directory)).await {
        Ok(_) => panic!("it was opened"),
        Err(SinkError::Permanent(text)) => text,
        Err(error) => panic!("not broken: {error:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = options(directory.path()).path;
    std::fs::write(&file, "my notes, longer than a header of a hundred bytes. ".repeat(3)).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(refusal(directory.path()).await.contains("not a SQLite"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(files(directory.path()), std::slice::from_ref(&file));
}

#[tokio::test]
async fn a_database_that_is_no_queue_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = options(directory.path()).path;
    let history = Connection::open(&file).unwrap();
    history.pragma_update(None, "application_id", energi_sinks::sqlite::APPLICATION_ID).unwrap();
    history.execute_batch("CREATE TABLE reading (a)").unwrap();
    drop(history);
    assert!(refusal(directory.path()).await.contains("another program"));
    assert!(queue::status(&file).unwrap_err().to_string().contains("another program's"));
}

#[tokio::test]
async fn a_queue_of_a_newer_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = options(directory.path()).path;
    DiskQueue::open(options(directory.path())).await.unwrap().close().await.unwrap();
    let newer = Connection::open(&file).unwrap();
    let found: i32 = newer.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    assert_eq!(found, APPLICATION_ID);
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(newer);
    assert!(refusal(directory.path()).await.contains("update energi-gateway"));
}

#[tokio::test]
async fn what_an_older_release_queued_is_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let file = options(directory.path()).path;
    let older = Connection::open(&file).unwrap();
    older.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    older
        .execute_batch(
            "CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL,
                 items INTEGER NOT NULL, text TEXT NOT NULL);
             CREATE INDEX parcel_items ON parcel (items);
             CREATE TABLE set_aside (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
                 item TEXT NOT NULL, reason TEXT NOT NULL);
             INSERT INTO parcel (queued, items, text) VALUES (7, 1, 'item 1
'), (8, 1, 'item 2
');
             INSERT INTO set_aside (time, item, reason) VALUES (9, 'item 0', '400: no');",
        )
        .unwrap();
    drop(older);
    let look = || {
        let status = queue::status(&file).unwrap().unwrap();
        let last = status.last_dead_letter.unwrap();
        (status.waiting, status.oldest.unwrap().as_millisecond(), status.dead_letters, last.item)
    };
    let expected = (2, 7, 1, "item 0".to_owned());
    assert_eq!(look(), expected);
    assert!(queue::probe(&file).await.unwrap().contains("2 waiting"));
    let queue = DiskQueue::open(options(directory.path())).await.unwrap();
    assert_eq!(numbers(&queue).await, [1, 2]);
    queue.push(batch(3)).await.unwrap();
    assert_eq!(numbers(&queue).await, [1, 2, 3]);
    queue.close().await.unwrap();
    assert_eq!(look(), (5, 7, 1, "item 0".to_owned()));
}

#[tokio::test]
async fn one_at_a_time_has_it_open() {
    let directory = tempfile::tempdir().unwrap();
    let queue = DiskQueue::open(options(directory.path())).await.unwrap();
    let text = refusal(directory.path()).await;
    assert!(text.contains("another sink"), "{text}");
    let text = queue::purge(&options(directory.path())).unwrap_err().to_string();
    assert!(text.contains("already"), "{text}");
    queue.close().await.unwrap();
    DiskQueue::open(options(directory.path())).await.unwrap();
}

#[tokio::test]
async fn a_damaged_one_is_replaced() {
    for (from, at_work) in [(0, false), (100, false), (5_000, false), (5_000, true)] {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path());
        let queue = DiskQueue::open(options.clone()).await.unwrap();
        for number in 0..300 {
            queue.push(batch(number)).await.unwrap();
        }
        let all = queue.oldest(QueuePosition::default(), 1_000).await.unwrap().unwrap();
        queue.close().await.unwrap();
        let damage = || {
            let mut bytes = std::fs::read(&options.path).unwrap();
            for byte in &mut bytes[from..] {
                *byte = byte.wrapping_mul(31).wrapping_add(7);
            }
            std::fs::write(&options.path, bytes).unwrap();
        };
        let queue = if at_work {
            let queue = DiskQueue::open(options.clone()).await.unwrap();
            damage();
            queue
        } else {
            damage();
            // Not closed in order: the file is looked through.
            std::fs::write(directory.path().join("queue.db-wal"), [0; 100]).unwrap();
            DiskQueue::open(options.clone()).await.unwrap()
        };
        let _noticed = queue.oldest(QueuePosition::default(), 1_000).await;
        queue.push(batch(7)).await.unwrap();
        assert_eq!(numbers(&queue).await, [7], "{from} {at_work}");
        assert_eq!(queue.waiting(), 3);
        if at_work {
            // Who had come far in the old one finds what is put in the new one.
            let next = queue.oldest(all.through, 1_000).await.unwrap().unwrap();
            assert_eq!(next.payload, batch(7));
        }
        let aside = |path: &std::path::PathBuf| path.display().to_string().contains(".corrupt-");
        assert!(files(directory.path()).iter().any(aside));
    }
}

#[tokio::test]
async fn a_file_that_is_removed_while_in_use_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let queue = DiskQueue::open(options.clone()).await.unwrap();
    std::fs::remove_file(&options.path).unwrap();
    let error = queue.push(batch(1)).await.unwrap_err();
    assert!(matches!(&error, SinkError::Permanent(text) if text.contains("removed or replaced")));
    let queue = DiskQueue::open(options).await.unwrap();
    queue.push(batch(1)).await.unwrap();
    assert_eq!(numbers(&queue).await, [1]);
}

#[tokio::test]
async fn what_a_full_disk_holds_can_be_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=512k") else { return };
    let queue = DiskQueue::open(options(disk.path())).await.unwrap();
    let mut taken = Vec::new();
    let full = loop {
        let text = batch(taken.len()).text().replace('\n', &format!(" {}\n", "x".repeat(3_000)));
        let large = Payload::from(text);
        match queue.push(large).await {
            Ok(()) => taken.push(taken.len()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&full, SinkError::Transient { message: text, .. } if text.contains("make room")),
        "{full:?}"
    );
    assert_eq!(queue.waiting(), 3 * taken.len() as u64);
    assert_eq!(numbers(&queue).await, taken);
    // Whether or not the disk lets it forget: what was delivered is not delivered again in this run.
    let oldest = queue.oldest(QueuePosition::default(), 3).await.unwrap().unwrap();
    let _full = queue.ack(oldest.through, Vec::new()).await;
    let next = queue.oldest(oldest.through, 3).await.unwrap().unwrap();
    assert!(next.payload.text().starts_with("item 1 "));
    assert!(disk.remount("size=8m"));
    queue.push(batch(taken.len())).await.unwrap();
    queue.close().await.unwrap();
}

#[tokio::test]
async fn a_purge_makes_room_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=1m") else { return };
    let options = options(disk.path());
    let queue = DiskQueue::open(options.clone()).await.unwrap();
    for number in 0..100 {
        queue.push(batch(number)).await.unwrap();
    }
    queue.close().await.unwrap();
    // The last page is taken.
    let full = std::fs::write(disk.path().join("fill"), vec![0; 2 << 20]);
    assert!(full.is_err());
    let Err(SinkError::Transient { message: text, .. }) = DiskQueue::open(options.clone()).await
    else {
        panic!("there is no room to open it")
    };
    assert!(text.contains("make room"), "{text}");
    assert_eq!(queue::status(&options.path).unwrap().unwrap().waiting, 300);
    assert_eq!(queue::purge(&options).unwrap(), (300, 0));
    std::fs::remove_file(disk.path().join("fill")).unwrap();
    let queue = DiskQueue::open(options).await.unwrap();
    assert_eq!(queue.waiting(), 0);
    queue.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_one_is_not_purged_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=1m") else { return };
    let options = options(disk.path());
    DiskQueue::open(options.clone()).await.unwrap().close().await.unwrap();
    let newer = Connection::open(&options.path).unwrap();
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(newer);
    assert!(std::fs::write(disk.path().join("fill"), vec![0; 2 << 20]).is_err());
    let text = queue::purge(&options).unwrap_err().to_string();
    assert!(text.contains("update energi-gateway"), "{text}");
    assert!(options.path.exists());
}

/// Variable with the path to which the child of the test below writes.
const CHILD: &str = "ENERGI_TEST_QUEUE";

/// Child process that the next test starts and kills; no test by itself.
#[tokio::test]
async fn child_of_the_next_test() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let queue = DiskQueue::open(options(Path::new(&directory))).await.unwrap();
    for number in 0.. {
        queue.push(batch(number)).await.unwrap();
        println!("pushed {number}");
        if number % 3 == 2 {
            let oldest = queue.oldest(QueuePosition::default(), 3).await.unwrap().unwrap();
            queue.ack(oldest.through, Vec::new()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_pushed_survives_a_kill_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "queue::faults::child_of_the_next_test", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let pushes = lines.filter(|line| line.as_ref().unwrap().contains("pushed")).take(90);
    assert_eq!(pushes.count(), 90);
    child.kill().unwrap();
    child.wait().unwrap();

    let queue = DiskQueue::open(options(directory.path())).await.unwrap();
    let left = numbers(&queue).await;
    assert!((29..=31).contains(&left[0]) || left[0] > 31, "{left:?}");
    assert!(*left.last().unwrap() >= 89, "{left:?}");
    assert!(left.windows(2).all(|pair| pair[1] == pair[0] + 1), "{left:?}");
    assert_eq!(queue.waiting(), 3 * left.len() as u64);
    let check: String = Connection::open(options(directory.path()).path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}
