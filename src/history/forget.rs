use std::path::Path;

use energi_sinks::sqlite::{self, History};
use jiff::civil::Date;

use super::vacuum::locked;
use super::{HistoryError, open};

/// Removed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Days of energy.
    pub days: u64,
    /// Single readings.
    pub readings: u64,
}

/// Removes a device from the history at `path`, or what it has from before a local date. The
/// gateway must not be running.
///
/// # Errors
/// [`HistoryError`] where the file is no history or has no such device, where a gateway writes to
/// it, and where writing fails; the history stays as it was.
pub fn forget(path: &Path, serial: u32, before: Option<Date>) -> Result<Forgotten, HistoryError> {
    let history: History = open(path)?;
    let unread = |error| HistoryError::read(path, error);
    let known = history.serials().map_err(unread)?;
    if !known.contains(&serial) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        return Err(HistoryError::Usage(format!(
            "--serial {serial}: the history has no such device; it has: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    }
    drop(history);
    let removed = sqlite::forget(path, serial, before).map_err(|error| match error {
        sqlite::ForgetError::Locked(error) => locked(path, error),
        sqlite::ForgetError::Read(error) => HistoryError::read(path, error),
    })?;
    Ok(Forgotten { days: removed.days, readings: removed.readings })
}
