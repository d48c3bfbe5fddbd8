//! A history opened for reading, beside a gateway that may be writing to it.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use super::super::schema::ZONE_KEY;
use crate::database::{ReadError, open_beside_writer, open_for_reading};

/// A table or view that scripts may rely on.
#[derive(Debug)]
pub struct PublicTable {
    /// The name.
    pub name: &'static str,
    /// The columns in their order.
    pub columns: &'static [&'static str],
}

/// Energy by local date.
pub const DAILY_ENERGY: PublicTable = PublicTable {
    name: "daily_energy",
    columns: &[
        "serial",
        "date",
        "diverted_kwh",
        "import_kwh",
        "export_kwh",
        "generation_kwh",
        "complete",
    ],
};

/// A history opened for reading. Its schema may be newer than this program as long as what is asked
/// of it is there.
#[derive(Debug)]
pub struct History {
    connection: Connection,
}

/// Times and means of a key, oldest first.
pub type MinuteMeans = Vec<(Timestamp, f64)>;

impl History {
    /// Opens the history at `path`.
    ///
    /// # Errors
    /// [`ReadError`] where there is no such file, where it may not be read, and where it is no
    /// history.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let history = Self { connection: open_for_reading(path)? };
        history.require(&DAILY_ENERGY)?;
        Ok(history)
    }

    /// Opens the history at `path`, which a sink of this very process may be writing to.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_beside_writer(path: &Path) -> Result<Self, ReadError> {
        let history = Self { connection: open_beside_writer(path)? };
        history.require(&DAILY_ENERGY)?;
        Ok(history)
    }

    /// The database, for a copy or a look at its version.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the time zone of its dates; `None` where it does not say.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn timezone(&self) -> Result<Option<TimeZone>, ReadError> {
        let has_meta: bool = self.connection.query_row(
            "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'",
            [],
            |row| row.get(0),
        )?;
        if !has_meta {
            return Ok(None);
        }
        let name: Option<String> = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [ZONE_KEY], |row| row.get(0))
            .optional()?;
        Ok(name.and_then(|name| TimeZone::get(&name).ok()))
    }

    /// Returns the serial numbers of its devices, in order.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn serials(&self) -> Result<Vec<u32>, ReadError> {
        let mut select =
            self.connection.prepare("SELECT DISTINCT serial FROM daily_energy ORDER BY serial")?;
        Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Reads the minute means of `key` from `start` up to but without `end`, at most `limit` of
    /// them.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn minutes(
        &self,
        serial: u32,
        key: &str,
        (start, end): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<MinuteMeans, ReadError> {
        let mut select = self.connection.prepare_cached(
            "SELECT time, mean FROM minute
             WHERE serial = ?1 AND key = ?2 AND time >= ?3 AND time < ?4 ORDER BY time LIMIT ?5",
        )?;
        let (start, end) = (start.as_millisecond(), end.as_millisecond());
        let means = select.query_map((serial, key, start, end, limit), |row| {
            let time = Timestamp::from_millisecond(row.get(0)?).unwrap_or(Timestamp::MAX);
            Ok((time, row.get(1)?))
        })?;
        Ok(means.collect::<Result<_, _>>()?)
    }

    /// Returns the time of the device's first minute from `start` up to but without `end`.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn first_minute(
        &self,
        serial: u32,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Option<Timestamp>, ReadError> {
        let mut select = self.connection.prepare_cached(
            "SELECT time FROM minute WHERE serial = ?1 AND time >= ?2 AND time < ?3
             ORDER BY time LIMIT 1",
        )?;
        let span = (serial, start.as_millisecond(), end.as_millisecond());
        let first = select.query_row(span, |row| row.get(0)).optional()?;
        Ok(first.and_then(|time| Timestamp::from_millisecond(time).ok()))
    }

    /// Checks that a table or view is there with all its columns.
    fn require(&self, table: &PublicTable) -> Result<(), ReadError> {
        let mut found = self.connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let found: Vec<String> =
            found.query_map([table.name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if table.columns.iter().all(|column| found.iter().any(|name| name == column)) {
            return Ok(());
        }
        let (name, columns) = (table.name, table.columns.join(", "));
        Err(ReadError::Data(format!(
            "not a history of energi-gateway: it has no {name}({columns}); --db takes the `path` \
             of a sqlite sink"
        )))
    }
}
