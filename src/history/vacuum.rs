use std::fs;
use std::io;
use std::path::Path;

use energi_sinks::sqlite::{LockError, VERSION, WriterLock, open_existing};
use rusqlite::OpenFlags;

use super::backup::beside;
use super::{HistoryError, open};

/// The size of a history on disk, its log included, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VacuumSizes {
    /// Size before it was made smaller.
    pub before: u64,
    /// Size after that.
    pub after: u64,
}

/// Gives the space of deleted rows back to the file system. Takes about as much free space as the
/// database meanwhile.
///
/// # Errors
/// [`HistoryError`] where the file is no history, where another process has it open, and where writing
/// fails; the history stays as it was.
pub fn vacuum(path: &Path) -> Result<VacuumSizes, HistoryError> {
    refuse_newer(path)?;
    let failed = |error: &rusqlite::Error| HistoryError::sqlite(path, error);
    let before = size(path)?;

    // Taken first, it says who has the history open. A gateway that starts meanwhile waits.
    let _lock = WriterLock::take(path).map_err(|error| locked(path, error))?;
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| HistoryError::read(path, error))?;
    // A gateway that has the history open has it open for good: waiting is of no use.
    connection.busy_timeout(std::time::Duration::ZERO).map_err(|error| failed(&error))?;
    // Exclusive before the first access: it succeeds only where no other process has the database
    // open, and none can open it until this connection is closed.
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;")
        .map_err(|error| in_use(path, &error))?;
    connection.execute_batch("VACUUM").map_err(|error| failed(&error))?;
    connection.close().map_err(|(_, error)| failed(&error))?;

    Ok(VacuumSizes { before, after: size(path)? })
}

/// A later release may keep what a rewrite by this one would not.
fn refuse_newer(path: &Path) -> Result<(), HistoryError> {
    let history = open(path)?;
    let version: i64 = history
        .connection()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| HistoryError::sqlite(path, &error))?;
    if version <= i64::from(VERSION) {
        return Ok(());
    }
    Err(HistoryError::Data {
        path: path.to_owned(),
        why: format!(
            "a newer release of energi-gateway created it (version {version}, this one knows \
             {VERSION}); vacuum it with that release"
        ),
    })
}

pub(super) fn locked(path: &Path, error: LockError) -> HistoryError {
    match error {
        LockError::InUse(holder) => HistoryError::Busy {
            path: path.to_owned(),
            why: format!("{holder} writes to it; stop that process, then try again"),
        },
        LockError::Io { path, source } => HistoryError::io(&path, &source),
    }
}

fn in_use(path: &Path, error: &rusqlite::Error) -> HistoryError {
    match HistoryError::sqlite(path, error) {
        HistoryError::Busy { path, .. } => HistoryError::Busy {
            path,
            why: "another process has the database open, a running gateway perhaps; stop it, then \
                  try again"
                .into(),
        },
        other => other,
    }
}

fn size(path: &Path) -> Result<u64, HistoryError> {
    let database = fs::metadata(path).map_err(|error| HistoryError::io(path, &error))?.len();
    let log = beside(path, "-wal");
    match fs::metadata(&log) {
        Ok(log) => Ok(database + log.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(database),
        Err(error) => Err(HistoryError::io(&log, &error)),
    }
}
