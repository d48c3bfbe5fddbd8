//! What root and the user of the service may do to a queue of one of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use energi_sinks::outbox::{self, Outbox, Plan};

use support::stranger;

use super::{numbers, parcel, plan};

/// Opens an outbox as a stranger, puts a parcel in, and says what is in it.
fn store(plan: &Plan, number: usize) -> Result<Vec<usize>, String> {
    stranger::does(async || {
        let outbox = Outbox::open(plan.clone()).await.map_err(|error| error.to_string())?;
        outbox.push(parcel(number)).await.unwrap();
        let found = numbers(&outbox).await;
        outbox.close().await.unwrap();
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
        let plan = plan(directory.path());
        assert_eq!(store(&plan, 1).unwrap(), [1]);
        if !has_lock {
            fs::remove_file(directory.path().join("queue.db.lock")).unwrap();
        }
        assert_eq!(outbox::purge(&plan).unwrap(), (3, 0));
        assert_eq!(store(&plan, 2).unwrap(), [2], "{has_lock}");
    }
}

#[tokio::test]
async fn a_queue_that_a_user_may_not_read_is_left_to_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path());
    Outbox::open(plan.clone()).await.unwrap().close().await.unwrap();
    fs::set_permissions(&plan.path, Permissions::from_mode(0o600)).unwrap();
    if !stranger::owns(directory.path()) {
        return;
    }
    let status = stranger::does(async || outbox::status(&plan.path).unwrap_err().to_string());
    for text in [status, store(&plan, 1).unwrap_err()] {
        assert!(text.contains("queue.db: Permission denied"), "{text}");
        assert!(text.contains("this user may not read it: run this as the user whose"), "{text}");
    }
}
