//! Operations on a history: find, back up, shrink, export, send and forget.

mod backup;
mod error;
mod export;
mod forget;
#[cfg(any(feature = "influxdb", feature = "postgres"))]
mod send;
mod vacuum;

use std::path::Path;

use energi_sinks::sqlite::History;

pub use backup::backup;
pub use error::HistoryError;
pub(crate) use export::io_error;
pub use export::{SampleSelection, export};
pub use forget::forget;
#[cfg(any(feature = "influxdb", feature = "postgres"))]
pub use send::{Accepted, SendReport, SendSelection, send};
pub use vacuum::vacuum;

/// Opens the history at `path` for reading; a gateway may be writing to it.
///
/// # Errors
/// [`HistoryError`] where there is no such file, where it may not be read, and where it is no
/// history.
pub fn open(path: &Path) -> Result<History, HistoryError> {
    History::open(path).map_err(|error| HistoryError::read(path, error))
}
