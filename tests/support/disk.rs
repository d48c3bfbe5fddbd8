//! A file system of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::skip::skip;

/// A file system in memory, gone with this.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one at `path` with these options. None: the test has been skipped.
    pub fn mount(path: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path);
        let why = match command.output() {
            Ok(output) if output.status.success() => return Some(Self(path)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        skip(&format!("it mounts a small disk: {why}"));
        None
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Mounts it again with other options; whether that is possible now.
    pub fn remount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{options}")]).arg(&self.0);
        command.output().unwrap().status.success()
    }

    /// Makes it no larger than what is on it.
    pub fn fill(&self) {
        let begun = Instant::now();
        loop {
            let found = rustix::fs::statvfs(&self.0).unwrap();
            let used = (found.f_blocks - found.f_bfree) * found.f_frsize;
            // Who writes meanwhile may need more by now.
            if self.remount(&format!("size={used}")) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{} fills too fast",
                self.0.display()
            );
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
