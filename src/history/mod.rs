//! The SQLite history as its readers see it: opened read-only beside a gateway that writes to it,
//! copied, made smaller, exported.

mod backup;
mod error;
mod export;
mod vacuum;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use backup::{Existing, backup};
pub use error::Error;
pub(crate) use export::io_error;
pub use export::{Samples, export};
pub use vacuum::{Sizes, vacuum};

/// How long a reader waits for a lock. The gateway never holds one so long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A table or view that scripts may rely on.
pub(crate) struct Public {
    pub(crate) name: &'static str,
    /// In its order.
    pub(crate) columns: &'static [&'static str],
}

/// Energy by local date.
pub(crate) const DAILY_ENERGY: Public = Public {
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
pub(crate) const SAMPLE: Public =
    Public { name: "sample", columns: &["time", "serial", "key", "value"] };

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
    /// [`Error`] where there is no such file, where it may not be read, and where it is no history.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let history = Self { connection, path: path.to_owned() };
        match history.require(&DAILY_ENERGY) {
            Ok(()) => Ok(history),
            // A write-ahead log's reader wants to write beside the file. Where there is no log the
            // file is whole, and a reader without that right can do without.
            Err(Error::Permission { .. }) if !has_log(path) => {
                let connection = connect_immutable(path)?;
                let history = Self { connection, ..history };
                history.require(&DAILY_ENERGY)?;
                Ok(history)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What SQLite said about this database.
    pub(crate) fn error(&self, error: &rusqlite::Error) -> Error {
        Error::sqlite(&self.path, error)
    }

    /// Checks that a table or view is there with all its columns.
    pub(crate) fn require(&self, public: &Public) -> Result<(), Error> {
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
        Err(Error::Data {
            path: self.path.clone(),
            why: format!(
                "not a history of energi-gateway: it has no {name}({columns}); --db takes the \
                 `path` of a sqlite sink"
            ),
        })
    }
}

/// Whether changes may stand in a log beside the file.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

/// Opens a database that nobody writes to, and writes nothing beside it.
fn connect_immutable(path: &Path) -> Result<Connection, Error> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io(path, &error))?;
    let escaped = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f");
    let uri = format!("file:{}?immutable=1", escaped.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| Error::sqlite(path, &error))
}

/// Opens an existing database with `flags`.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // SQLite has one error for a missing file, a forbidden one and a directory.
    let file = File::open(path).map_err(|error| Error::io(path, &error))?;
    if file.metadata().map_err(|error| Error::io(path, &error))?.is_dir() {
        return Err(Error::Data {
            path: path.to_owned(),
            why: "a directory, not a database; --db takes the `path` of a sqlite sink".into(),
        });
    }
    // SQLite is built to take any name that begins with `file:` for a URI; an absolute path never
    // does.
    let absolute = std::path::absolute(path).map_err(|error| Error::io(path, &error))?;
    let connection = Connection::open_with_flags(absolute, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
        .map_err(|error| Error::sqlite(path, &error))?;
    Ok(connection)
}
