//! Test whether a process could write to a database.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::damage;
use super::error::{Refusal, StoreError};
use super::lock::{self, Reserved, Sign};
use super::migrate::{Identity, Schema};
use super::open::{Header, connect, look};

/// Time to wait while a database is recovered after a crash.
const BUSY: Duration = Duration::from_secs(5);

/// A database that this process could write to.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Open database whose content may be read; `None` where it is yet to be made.
    pub(crate) connection: Option<Connection>,
    // After the connection, which it allows.
    _looking: Reserved,
}

/// Looks whether this process could write to `path` now, and changes nothing.
///
/// # Errors
/// [`StoreError`] as a writer would meet it.
pub(crate) fn try_out(path: &Path, schema: &Schema) -> Result<Trial, StoreError> {
    let looking = Reserved::take(path)?;
    let header = look(path)?;
    let lock = lock::path_of(path);
    if let Some(directory) = lock.parent() {
        // A file without a name: gone as soon as it is closed.
        tempfile::tempfile_in(directory)
            .map_err(|error| StoreError::at(directory.to_owned(), error))?;
    }
    if let Some(damage) = damage::emptied(path) {
        return Err(StoreError::Damaged(damage));
    }
    match header {
        Header::Nothing => {
            return match lock::sign(path) {
                Sign::Foreign => Err(Refusal::ForeignLock(lock).into()),
                Sign::Nothing | Sign::Ours => Ok(Trial { connection: None, _looking: looking }),
            };
        }
        Header::Foreign => return Err(Refusal::NotADatabase.into()),
        Header::Database(_) => {}
    }
    let writable = OpenOptions::new().write(true).open(path);
    writable.map_err(|error| StoreError::at(path.to_owned(), error))?;
    if fs::metadata(path)?.permissions().readonly() {
        return Err(Refusal::ReadOnly(path.to_owned()).into());
    }
    // A read-only connection would leave the files of its log behind.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    if schema.identify(&connection)? == Identity::Empty {
        return Err(Refusal::OtherProgram.into());
    }
    match lock::holder(path)? {
        Some(holder) => Err(Refusal::InUse(holder).into()),
        None => Ok(Trial { connection: Some(connection), _looking: looking }),
    }
}
