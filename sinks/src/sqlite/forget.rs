//! Removes a device from a history, or what the history has of it from before a date.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::daily;
use super::reader::History;
use super::rollup::compute::QUARTER;
use super::schema::SCHEMA;
use crate::database::{Identity, LockError, ReadError, Refusal, WriterLock, open_existing};
use crate::energy::midnights;

/// Reason why nothing was removed.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// A gateway writes to the history.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The history could not be read or written.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<rusqlite::Error> for ForgetError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Removed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemovedRows {
    /// Days of energy.
    pub days: u64,
    /// Single readings.
    pub readings: u64,
}

/// Removes the device `serial` from the history at `path`, or what it has from before a local date;
/// all of it or, on an error, nothing. What was removed is overwritten.
///
/// Of the two days before that date the counter's points stay, since the date's own energy follows
/// from them.
///
/// # Errors
/// [`ForgetError`] where a gateway writes to the history, and where it cannot be written.
pub fn forget(path: &Path, serial: u32, before: Option<Date>) -> Result<RemovedRows, ForgetError> {
    let timezone = History::open(path)?.timezone()?.unwrap_or_else(TimeZone::system);
    let _lock = WriterLock::take(path)?;
    let mut connection = open_existing(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if SCHEMA.identify(&connection).map_err(ReadError::from)? == Identity::Empty {
        return Err(ReadError::Data(Refusal::OtherProgram.to_string()).into());
    }
    SCHEMA.migrate(&mut connection).map_err(ReadError::from)?;
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed = remove(&transaction, serial, before, &timezone)?;
    transaction.commit()?;
    // The log still has the pages as they were.
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(removed)
}

fn remove(
    connection: &Connection,
    serial: u32,
    before: Option<Date>,
    timezone: &TimeZone,
) -> Result<RemovedRows, rusqlite::Error> {
    let midnight = before.map_or(i64::MAX, |date| midnights(date, timezone)[0].as_microsecond());
    let points = before.map_or(Timestamp::MAX, |date| daily::window(date, timezone).start);
    let points = if before.is_some() { points.as_microsecond() } else { i64::MAX };
    let date = before.map_or_else(|| "~".to_owned(), |date| date.to_string());
    let delete = |from: &str, until: i64| {
        let sql = format!(
            "DELETE FROM {from} < ?2 AND device = (SELECT id FROM device WHERE serial = ?1)"
        );
        connection.execute(&sql, (serial, until))
    };
    let days = connection
        .execute("DELETE FROM daily_energy WHERE serial = ?1 AND date < ?2", (serial, date))?;
    let readings = delete("reading WHERE time", midnight / 1000)?;
    delete("minute_sum WHERE time", midnight / 1000)?;
    delete("energy_quarter WHERE quarter", midnight / QUARTER)?;
    delete("energy_point WHERE time", points)?;
    delete("coverage WHERE end", points)?;
    if before.is_some() {
        // Else a day that is made again would show that the device was received.
        connection.execute(
            "UPDATE coverage SET start = ?2
             WHERE start < ?2 AND device = (SELECT id FROM device WHERE serial = ?1)",
            (serial, points),
        )?;
    }
    delete("pending WHERE quarter", midnight / QUARTER)?;
    if before.is_none() {
        connection.execute("DELETE FROM device WHERE serial = ?1", [serial])?;
    }
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    Ok(RemovedRows { days: count(days), readings: count(readings) })
}
