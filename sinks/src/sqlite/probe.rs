//! Test of a history's path before use.

use std::path::Path;

use super::schema::SCHEMA;
use crate::database::{StoreError, try_out};
use crate::sink::SinkError;

/// Says what is at `path` and whether a sink could write there, and changes nothing.
pub(super) fn probe(path: &Path) -> Result<String, SinkError> {
    describe(path).map_err(|error| error.into_sink_error(path))
}

fn describe(path: &Path) -> Result<String, StoreError> {
    let trial = try_out(path, &SCHEMA)?;
    let Some(history) = &trial.connection else {
        return Ok(format!("{} will be created", path.display()));
    };
    let days: i64 =
        history.query_row("SELECT count(DISTINCT date) FROM daily_energy", [], |row| row.get(0))?;
    Ok(format!("{}: {days} days of history", path.display()))
}
