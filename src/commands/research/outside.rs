//! Files with time series from outside a capture.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::platform::exit::{Exit, Failure};
use crate::research::metrics::KnownMetric;
use crate::research::outside::{self, OutsideError, OutsideSeries};

/// Reads a file of times, names and values.
pub(super) fn series(path: &Path) -> Result<Vec<OutsideSeries>, Failure> {
    read(path, outside::parse)
}

/// Reads the numbers of a file of times, names and values.
pub(super) fn numbers(path: &Path) -> Result<Vec<KnownMetric>, Failure> {
    known(path, &series(path)?)
}

/// Reads the cloud's minute history.
pub(super) fn cloud(path: &Path) -> Result<Vec<KnownMetric>, Failure> {
    known(path, &read(path, outside::parse_cloud)?)
}

fn read(
    path: &Path,
    parse: impl Fn(&str) -> Result<Vec<OutsideSeries>, OutsideError>,
) -> Result<Vec<OutsideSeries>, Failure> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NoInput,
            ErrorKind::PermissionDenied => Exit::Permission,
            ErrorKind::InvalidData => Exit::Data,
            _ => Exit::Io,
        };
        Failure::message(exit, format!("{name}: {error}"))
    })?;
    parse(&text).map_err(|error| Failure::message(Exit::Data, format!("{name}: {error}")))
}

fn known(path: &Path, series: &[OutsideSeries]) -> Result<Vec<KnownMetric>, Failure> {
    let known = series.iter().filter_map(|series| {
        let name = if series.name.is_empty() { "series" } else { &series.name };
        Some(KnownMetric::outside(name.to_owned(), &series.numbers()?))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        let message =
            format!("{}: no series of numbers; `research bits` takes words", path.display());
        return Err(Failure::message(Exit::Data, message));
    }
    Ok(known)
}
