//! The SQLite history as its readers see it: opened read-only beside a gateway that writes to it,
//! copied, made smaller, exported, sent to InfluxDB.

mod backup;
mod error;
mod export;
#[cfg(feature = "influxdb")]
mod send;
mod vacuum;

use std::path::{Path, PathBuf};

use energi_sinks::sqlite::open_for_reading;
use rusqlite::Connection;

pub use backup::{Existing, backup};
pub use error::HistoryError;
pub(crate) use export::io_error;
pub use export::{SampleSelection, export};
#[cfg(feature = "influxdb")]
pub use send::{SendReport, SendSelection, send};
pub use vacuum::{VacuumSizes, vacuum};

/// A table or view that scripts may rely on.
pub(crate) struct PublicTable {
    pub(crate) name: &'static str,
    /// In its order.
    pub(crate) columns: &'static [&'static str],
}

/// Energy by local date.
pub(crate) const DAILY_ENERGY: PublicTable = PublicTable {
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

/// Every stored value.
pub(crate) const SAMPLE: PublicTable =
    PublicTable { name: "sample", columns: &["time", "serial", "key", "value"] };

/// A history opened for reading.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the database at `path`, which a gateway may be writing to. Its schema may be newer
    /// than this program as long as what is asked of it is there.
    ///
    /// # Errors
    /// [`HistoryError`] where there is no such file, where it may not be read, and where it is no history.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let connection = open_for_reading(path).map_err(|error| HistoryError::read(path, error))?;
        let history = Self { connection, path: path.to_owned() };
        history.require(&DAILY_ENERGY)?;
        Ok(history)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What SQLite said about this database.
    pub(crate) fn error(&self, error: &rusqlite::Error) -> HistoryError {
        HistoryError::sqlite(&self.path, error)
    }

    /// Checks that a table or view is there with all its columns.
    pub(crate) fn require(&self, public: &PublicTable) -> Result<(), HistoryError> {
        let mut found = self
            .connection
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .map_err(|error| self.error(&error))?;
        let found = found
            .query_map([public.name], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| self.error(&error))?;
        if public.columns.iter().all(|column| found.iter().any(|name| name == column)) {
            return Ok(());
        }
        let (name, columns) = (public.name, public.columns.join(", "));
        Err(HistoryError::Data {
            path: self.path.clone(),
            why: format!(
                "not a history of energi-gateway: it has no {name}({columns}); --db takes the \
                 `path` of a sqlite sink"
            ),
        })
    }
}
