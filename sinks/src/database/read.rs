//! Reads a database that a gateway may be writing to.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::damage;
use super::error::{StoreError, is_full};
use super::open::{connect, is_whole};

/// Time that a reader waits for a lock, while a database is recovered after a crash for example.
const BUSY: Duration = Duration::from_secs(5);

/// Reason why a database could not be opened or read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// SQLite said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The database is damaged, or this release does not know its schema.
    #[error("{0}")]
    Data(String),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io(error) => Self::Io(error),
            StoreError::Sqlite(error) => Self::Sqlite(error),
            refused @ (StoreError::Refused(_) | StoreError::Damaged(_)) => {
                Self::Data(refused.to_string())
            }
        }
    }
}

/// Opens a database for reading, whether or not another process writes to it, and whether or not
/// this one may write beside it.
///
/// # Errors
/// [`ReadError`] where there is no such file, where it may not be read, and where it is no
/// database.
pub fn open_for_reading(path: &Path) -> Result<Connection, ReadError> {
    let connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match touch(&connection) {
        // A write-ahead log's reader wants to write beside the file. Where nothing is in a log a
        // reader without that right, or without room, can do without.
        Err(error) if is_hindered(&error) && is_whole(path) => {
            let connection = open_immutable(path)?;
            touch(&connection)?;
            Ok(connection)
        }
        touched => Ok(touched.map(|()| connection)?),
    }
}

/// Opens a database for reading that this process may be writing to. SQLite alone touches the file:
/// POSIX lets go of all of a process's locks on a file that it closes a handle on.
///
/// # Errors
/// As [`open_existing`].
pub fn open_beside_writer(path: &Path) -> Result<Connection, ReadError> {
    /// Nobody waits longer for a page.
    const BUSY: Duration = Duration::from_secs(1);
    if std::fs::metadata(path)?.is_dir() {
        return Err(io::Error::from(ErrorKind::IsADirectory).into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    connection.busy_timeout(BUSY)?;
    touch(&connection)?;
    Ok(connection)
}

/// Opens an existing database with `flags`, and waits a while for its locks.
///
/// # Errors
/// [`ReadError`], which tells a missing file, a forbidden one and a directory apart.
pub fn open_existing(path: &Path, flags: OpenFlags) -> Result<Connection, ReadError> {
    // Opened and closed here, the file would lose the locks that a sink of this process has on it.
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::from(ErrorKind::IsADirectory).into());
    }
    if let Some(damage) = damage::emptied(path) {
        return Err(ReadError::Data(format!(
            "damaged: {damage}; copy all its files, then let the gateway start"
        )));
    }
    let connection = match connect(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX) {
        Err(error) => {
            // SQLite has one error for a file that is forbidden and for one that is not there.
            File::open(path)?;
            return Err(error.into());
        }
        Ok(connection) => connection,
    };
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Opens a database that nobody writes to, and writes nothing beside it.
fn open_immutable(path: &Path) -> Result<Connection, ReadError> {
    let absolute = std::path::absolute(path)?;
    let escaped = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f");
    let uri = format!("file:{}?immutable=1", escaped.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// Reads something, so that what hinders reading shows.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

fn is_hindered(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly))
        || is_full(error)
}
