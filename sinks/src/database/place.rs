//! Path of a database, and the files beside it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The most symbolic links that lead to a database: as many as SQLite follows.
const MOST_LINKS: usize = 100;

/// The file that symbolic links lead to, whether or not it is there yet: one name for one file.
fn behind_links(database: &Path) -> PathBuf {
    let mut target = database.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new(".")).canonicalize();
    if let (Ok(directory), Some(name)) = (directory, target.file_name()) {
        target = directory.join(name);
    }
    target
}

/// The file with the database's name and `suffix`, where SQLite has its logs: beside the file that
/// symbolic links lead to.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    with_suffix(&behind_links(database), suffix)
}

/// A path with a longer name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
