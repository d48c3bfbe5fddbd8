//! A user who is not root.

use std::os::unix::fs::chown;
use std::path::Path;
use std::thread;

use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::skip::skip;

/// Nobody in particular: `nobody` on most systems.
const STRANGER: u32 = 65_534;

/// Makes `directory` the stranger's. Not: the test has been skipped.
pub fn owns(directory: &Path) -> bool {
    let given = chown(directory, Some(STRANGER), Some(STRANGER));
    if let Err(error) = &given {
        skip(&format!("it gives files to another user: {error}"));
    }
    given.is_ok()
}

/// Runs work as the stranger, in a thread of its own: the kernel has a user for each, whom threads
/// that it starts have from it.
pub fn does<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    let work = || {
        let (user, group) = (Uid::from_raw(STRANGER), Gid::from_raw(STRANGER));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(group, group, group).unwrap();
        set_thread_res_uid(user, user, user).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    };
    thread::scope(|scope| scope.spawn(work).join()).unwrap()
}
