//! Energy reports: a history's days, weeks, months or years as a table, CSV, JSON or a chart.

mod record;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};

use energi_sinks::chart::{ChartOptions, energy_chart};
use energi_sinks::energy::{EnergyDay, PeriodLength};
use energi_sinks::settings::Tariff;
use jiff::civil::Date;

pub use energi_sinks::sqlite::{Savings, savings};

use crate::history::HistoryError;

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// Text for people.
    Table {
        /// The terminal's width in columns, where there is one.
        width: Option<u16>,
        /// True if a bar shows the diverted energy of each period.
        bars: bool,
    },
    /// Comma-separated values with a header; unknown is empty.
    Csv,
    /// An array of objects, one a line; unknown is null.
    Json,
    /// A chart.
    Svg,
}

/// Display options of a report.
#[derive(Debug, Clone, Default)]
pub struct ReportStyle {
    /// Names of devices, by serial number.
    pub names: BTreeMap<u32, String>,
    /// The date that is not over yet.
    pub today: Option<Date>,
    /// The prices that savings come from.
    pub tariff: Option<Tariff>,
    /// Savings by diverting.
    pub savings: Savings,
}

/// Writes the energy of `days`, ordered by serial number and date, for each period.
///
/// # Errors
/// [`HistoryError::Output`] where `out` fails.
pub fn write(
    days: &[EnergyDay],
    length: PeriodLength,
    format: ReportFormat,
    style: &ReportStyle,
    out: &mut dyn Write,
) -> Result<(), HistoryError> {
    let written = match format {
        ReportFormat::Table { width, bars } => table::write(days, length, style, width, bars, out),
        ReportFormat::Csv => record::write_csv(days, length, out),
        ReportFormat::Json => record::write_json(days, length, out),
        ReportFormat::Svg => write_chart(days, length, style, out),
    };
    written.and_then(|()| out.flush()).map_err(HistoryError::Output)
}

fn write_chart(
    days: &[EnergyDay],
    length: PeriodLength,
    style: &ReportStyle,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut days = days.to_vec();
    // The running day is not incomplete: it is not over.
    for day in &mut days {
        day.complete |= Some(day.date) == style.today;
    }
    let options = ChartOptions {
        names: style.names.clone(),
        savings: style.savings.by_device(),
        tariff: style.tariff.clone(),
        ..ChartOptions::default()
    };
    out.write_all(energy_chart(&days, length, &options).as_bytes())
}
