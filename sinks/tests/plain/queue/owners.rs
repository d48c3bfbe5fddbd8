//! Rights of root and of the service's user to a queue of one of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use energi_sinks::queue::{self, DiskQueue};
use energi_sinks::settings::QueueOptions;

use support::stranger;

use super::{batch, numbers, options};

/// Opens a queue as a stranger, puts a batch in, and says what is in it.
fn store(options: &QueueOptions, number: usize) -> Result<Vec<usize>, String> {
    stranger::does(async || {
        let queue = DiskQueue::open(options.clone()).await.map_err(|error| error.to_string())?;
        queue.push(batch(number)).await.unwrap();
        let found = numbers(&queue).await;
        queue.close().await.unwrap();
        Ok(found)
    })
}

#[test]
fn a_queue_that_root_throws_away_is_still_its_users() {
    for has_lock in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        if !stranger::owns(directory.path()) {
            return;
        }
        let options = options(directory.path());
        assert_eq!(store(&options, 1).unwrap(), [1]);
        if !has_lock {
            fs::remove_file(directory.path().join("queue.db.lock")).unwrap();
        }
        assert_eq!(queue::purge(&options).unwrap(), (3, 0));
        assert_eq!(store(&options, 2).unwrap(), [2], "{has_lock}");
    }
}

#[tokio::test]
async fn a_queue_of_another_user_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    DiskQueue::open(options.clone()).await.unwrap().close().await.unwrap();
    fs::set_permissions(&options.path, Permissions::from_mode(0o600)).unwrap();
    if !stranger::owns(directory.path()) {
        return;
    }
    let status = stranger::does(async || queue::status(&options.path).unwrap_err().to_string());
    for text in [status, store(&options, 1).unwrap_err()] {
        assert!(text.contains("queue.db: Permission denied"), "{text}");
        assert!(text.contains("user"), "{text}");
    }
}
