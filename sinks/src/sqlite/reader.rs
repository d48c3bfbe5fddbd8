//! Reads a history that a gateway may be writing to.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{Refusal, StoreError};
use super::file::{Header, connect, look};
use super::lock::{self, Reserved, Sign};
use super::schema::{self, Identity};
use crate::sink::SinkError;

/// How long to wait while a database is recovered after a crash.
const BUSY: Duration = Duration::from_secs(5);

/// Opens a history for reading, whether or not another process writes to it. A process that writes
/// to it itself must not: that would take SQLite's locks from its sink.
///
/// # Errors
/// [`SinkError::Broken`] where the file is missing, or not a history that this release knows.
pub fn open_for_reading(path: &Path) -> Result<Connection, SinkError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| error.into_sink_error(path))
}

/// Says what is at `path` and whether a sink could write there, and changes nothing.
pub(super) fn probe(path: &Path) -> Result<String, SinkError> {
    describe(path).map_err(|error| error.into_sink_error(path))
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    match look(path)? {
        Header::Nothing => return Err(Refusal::Missing.into()),
        Header::Foreign => return Err(Refusal::NotADatabase.into()),
        Header::Database(_) => {}
    }
    let connection = connect(path, flags)?;
    connection.busy_timeout(BUSY)?;
    match schema::identify(&connection)? {
        Identity::Empty => Err(Refusal::OtherProgram.into()),
        Identity::Ours(_) => Ok(connection),
    }
}

fn describe(path: &Path) -> Result<String, StoreError> {
    let _looking = Reserved::take(path)?;
    let header = look(path)?;
    let lock = lock::path_of(path);
    if let Some(directory) = lock.parent() {
        // A file without a name: gone as soon as it is closed.
        tempfile::tempfile_in(directory)
            .map_err(|error| StoreError::at(directory.to_owned(), error))?;
    }
    if header == Header::Nothing {
        return match lock::sign(path) {
            Sign::Foreign => Err(Refusal::ForeignLock(lock).into()),
            Sign::Nothing | Sign::Ours => Ok(format!("{} will be made", path.display())),
        };
    }
    let writable = OpenOptions::new().write(true).open(path);
    writable.map_err(|error| StoreError::at(path.to_owned(), error))?;
    if fs::metadata(path)?.permissions().readonly() {
        return Err(Refusal::ReadOnly(path.to_owned()).into());
    }
    // A read-only connection would leave the files of its log behind.
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let days: i64 =
        connection
            .query_row("SELECT count(DISTINCT date) FROM daily_energy", [], |row| row.get(0))?;
    match lock::holder(path)? {
        Some(holder) => Err(Refusal::InUse(holder).into()),
        None => Ok(format!("{}: {days} days of history", path.display())),
    }
}
