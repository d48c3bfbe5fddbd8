//! Energy reports: what a history says of each day, month or year, as a table, CSV, JSON or a
//! chart.

mod chart;
mod energy;
mod period;
mod record;
mod table;

use std::io::Write;

pub use energy::{DaySelection, Energy, EnergyDay, days};
pub use period::{Period, PeriodLength, PeriodTotal, totals};

use crate::history::HistoryError;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// For people, folded to a terminal's width in columns where there is one.
    Table {
        /// The terminal's width in columns.
        width: Option<u16>,
    },
    /// Comma-separated values with a header; unknown is empty.
    Csv,
    /// An array of objects, one a line; unknown is null.
    Json,
    /// A chart.
    Svg,
}

/// Writes what `days`, ordered by serial number and date, say for each `step`.
///
/// # Errors
/// [`HistoryError::Output`] where `out` fails.
pub fn write(
    days: &[EnergyDay],
    step: PeriodLength,
    format: ReportFormat,
    out: &mut dyn Write,
) -> Result<(), HistoryError> {
    let written = match format {
        ReportFormat::Table { width } => table::write(days, step, width, out),
        ReportFormat::Csv => record::write_csv(days, step, out),
        ReportFormat::Json => record::write_json(days, step, out),
        ReportFormat::Svg => chart::write(days, step, out),
    };
    written.and_then(|()| out.flush()).map_err(HistoryError::Output)
}
