//! What a kill, a full disk, damage and other people's files cost.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};

use energi_sinks::SinkError;
use energi_sinks::outbox::{self, APPLICATION_ID, Outbox, Ticket, VERSION};
use rusqlite::Connection;

use super::{files, numbers, parcel, plan};
use support::disk::Disk;

async fn refusal(directory: &Path) -> String {
    match Outbox::open(plan(directory)).await {
        Ok(_) => panic!("it was opened"),
        Err(SinkError::Permanent(text)) => text,
        Err(error) => panic!("not broken: {error:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_not_an_outbox_or_a_newer_one_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = plan(directory.path()).path;
    std::fs::write(&file, "my notes, longer than a header of a hundred bytes. ".repeat(3)).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(refusal(directory.path()).await.contains("not a SQLite database"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(files(directory.path()), std::slice::from_ref(&file));

    std::fs::remove_file(&file).unwrap();
    let history = Connection::open(&file).unwrap();
    history.pragma_update(None, "application_id", energi_sinks::sqlite::APPLICATION_ID).unwrap();
    history.execute_batch("CREATE TABLE reading (a)").unwrap();
    drop(history);
    assert!(refusal(directory.path()).await.contains("another program's database"));
    assert!(outbox::status(&file).unwrap_err().to_string().contains("another program's"));

    std::fs::remove_file(&file).unwrap();
    Outbox::open(plan(directory.path())).await.unwrap().close().await.unwrap();
    let newer = Connection::open(&file).unwrap();
    let found: i32 = newer.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
    assert_eq!(found, APPLICATION_ID);
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(newer);
    assert!(refusal(directory.path()).await.contains("update energi-gateway"));
}

#[tokio::test]
async fn one_at_a_time_has_it_open() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(plan(directory.path())).await.unwrap();
    let text = refusal(directory.path()).await;
    assert!(text.contains("another sink of this gateway writes to it already"), "{text}");
    let text = outbox::purge(&plan(directory.path())).unwrap_err().to_string();
    assert!(text.contains("writes to it already"), "{text}");
    outbox.close().await.unwrap();
    Outbox::open(plan(directory.path())).await.unwrap();
}

#[tokio::test]
async fn a_damaged_one_is_moved_aside_and_a_new_one_begun() {
    for (from, at_work) in [(0, false), (100, false), (5_000, false), (5_000, true)] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path());
        let outbox = Outbox::open(plan.clone()).await.unwrap();
        for number in 0..300 {
            outbox.push(parcel(number)).await.unwrap();
        }
        let all = outbox.oldest(Ticket::default(), 1_000).await.unwrap().unwrap();
        outbox.close().await.unwrap();
        let damage = || {
            let mut bytes = std::fs::read(&plan.path).unwrap();
            for byte in &mut bytes[from..] {
                *byte = byte.wrapping_mul(31).wrapping_add(7);
            }
            std::fs::write(&plan.path, bytes).unwrap();
        };
        let outbox = if at_work {
            let outbox = Outbox::open(plan.clone()).await.unwrap();
            damage();
            outbox
        } else {
            damage();
            // Not closed in order: the file is looked through.
            std::fs::write(directory.path().join("queue.db-wal"), [0; 100]).unwrap();
            Outbox::open(plan.clone()).await.unwrap()
        };
        let _noticed = outbox.oldest(Ticket::default(), 1_000).await;
        outbox.push(parcel(7)).await.unwrap();
        assert_eq!(numbers(&outbox).await, [7], "{from} {at_work}");
        assert_eq!(outbox.waiting(), 3);
        if at_work {
            // Who had come far in the old one finds what is put in the new one.
            let next = outbox.oldest(all.through, 1_000).await.unwrap().unwrap();
            assert_eq!(next.parcel, parcel(7));
        }
        let aside = |path: &std::path::PathBuf| path.display().to_string().contains(".corrupt-");
        assert!(files(directory.path()).iter().any(aside));
    }
}

#[tokio::test]
async fn a_file_that_is_removed_while_in_use_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path());
    let outbox = Outbox::open(plan.clone()).await.unwrap();
    std::fs::remove_file(&plan.path).unwrap();
    let error = outbox.push(parcel(1)).await.unwrap_err();
    assert!(matches!(&error, SinkError::Permanent(text) if text.contains("removed or replaced")));
    let outbox = Outbox::open(plan).await.unwrap();
    outbox.push(parcel(1)).await.unwrap();
    assert_eq!(numbers(&outbox).await, [1]);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_taken_and_lets_it_be_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=512k") else { return };
    let outbox = Outbox::open(plan(disk.path())).await.unwrap();
    let mut taken = Vec::new();
    let full = loop {
        let mut large = parcel(taken.len());
        large.text = large.text.replace('\n', &format!(" {}\n", "x".repeat(3_000)));
        match outbox.push(large).await {
            Ok(()) => taken.push(taken.len()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&full, SinkError::Transient { message: text, .. } if text.contains("make room")),
        "{full:?}"
    );
    assert_eq!(outbox.waiting(), 3 * taken.len() as u64);
    assert_eq!(numbers(&outbox).await, taken);
    // Whether or not the disk lets it forget: what was delivered is not delivered again in this run.
    let bundle = outbox.oldest(Ticket::default(), 3).await.unwrap().unwrap();
    let _full = outbox.settle(bundle.through, Vec::new()).await;
    let next = outbox.oldest(bundle.through, 3).await.unwrap().unwrap();
    assert!(next.parcel.text.starts_with("item 1 "));
    assert!(disk.remount("size=8m"));
    outbox.push(parcel(taken.len())).await.unwrap();
    outbox.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_gets_its_room_back_when_what_waits_is_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=1m") else { return };
    let plan = plan(disk.path());
    let outbox = Outbox::open(plan.clone()).await.unwrap();
    for number in 0..100 {
        outbox.push(parcel(number)).await.unwrap();
    }
    outbox.close().await.unwrap();
    // The last page is taken.
    let full = std::fs::write(disk.path().join("fill"), vec![0; 2 << 20]);
    assert!(full.is_err());
    let Err(SinkError::Transient { message: text, .. }) = Outbox::open(plan.clone()).await else {
        panic!("there is no room to open it")
    };
    assert!(text.contains("make room on its file system"), "{text}");
    assert_eq!(outbox::status(&plan.path).unwrap().unwrap().waiting, 300);
    assert_eq!(outbox::purge(&plan).unwrap(), (300, 0));
    std::fs::remove_file(disk.path().join("fill")).unwrap();
    let outbox = Outbox::open(plan).await.unwrap();
    assert_eq!(outbox.waiting(), 0);
    outbox.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_one_is_not_thrown_away_on_a_full_disk_either() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(directory.path().join("disk"), "size=1m") else { return };
    let plan = plan(disk.path());
    Outbox::open(plan.clone()).await.unwrap().close().await.unwrap();
    let newer = Connection::open(&plan.path).unwrap();
    newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(newer);
    assert!(std::fs::write(disk.path().join("fill"), vec![0; 2 << 20]).is_err());
    let text = outbox::purge(&plan).unwrap_err().to_string();
    assert!(text.contains("update energi-gateway"), "{text}");
    assert!(plan.path.exists());
}

/// Where the child of the test below writes.
const CHILD: &str = "ENERGI_TEST_OUTBOX";

/// Not a test by itself: what the next one starts and kills.
#[tokio::test]
async fn child_of_the_next_test() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let outbox = Outbox::open(plan(Path::new(&directory))).await.unwrap();
    for number in 0.. {
        outbox.push(parcel(number)).await.unwrap();
        println!("pushed {number}");
        if number % 3 == 2 {
            let bundle = outbox.oldest(Ticket::default(), 3).await.unwrap().unwrap();
            outbox.settle(bundle.through, Vec::new()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_pushed_survives_a_kill_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::child_of_the_next_test", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let pushes = lines.filter(|line| line.as_ref().unwrap().contains("pushed")).take(90);
    assert_eq!(pushes.count(), 90);
    child.kill().unwrap();
    child.wait().unwrap();

    let outbox = Outbox::open(plan(directory.path())).await.unwrap();
    let left = numbers(&outbox).await;
    assert!((29..=31).contains(&left[0]) || left[0] > 31, "{left:?}");
    assert!(*left.last().unwrap() >= 89, "{left:?}");
    assert!(left.windows(2).all(|pair| pair[1] == pair[0] + 1), "{left:?}");
    assert_eq!(outbox.waiting(), 3 * left.len() as u64);
    let check: String = Connection::open(plan(directory.path()).path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}
