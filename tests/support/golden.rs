//! Files that hold what the program is expected to say.
//!
//! After a wanted change `UPDATE_GOLDEN=1 cargo test` updates them; the difference is what the
//! change means for users.

use std::fs;

use crate::gateway::root;

/// Holds `actual` against the file at `path`, from the project's own folder.
pub fn matches_golden(path: &str, actual: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, actual).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (number, (actual, golden)) in actual.lines().zip(golden.lines()).enumerate() {
        assert_eq!(actual, golden, "{path}, line {}: stale? {HINT}", number + 1);
    }
    assert_eq!(actual.len(), golden.len(), "{path}: stale? {HINT}");
}

const HINT: &str = "UPDATE_GOLDEN=1 writes it again";
