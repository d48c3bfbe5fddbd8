//! `energi-gateway report`: energy by day, month or year.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use jiff::civil::Date;

use crate::history::{History, HistoryError};
use crate::report::{self, DaySelection, PeriodLength, ReportFormat};

use super::dates;

/// What `report` takes.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// How long the periods are
    #[arg(value_enum)]
    pub periods: Periods,

    /// The history: the `path` of a sqlite sink
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,

    /// The first local date [default: the first in the history]
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub from: Option<Date>,

    /// The last local date, itself included [default: the last in the history]
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub to: Option<Date>,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,

    /// How the report is written
    #[arg(long, value_enum, default_value_t = FormatName::Table)]
    pub format: FormatName,
}

/// How long the periods of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Periods {
    /// A line for each local date
    Daily,
    /// A line for each month
    Monthly,
    /// A line for each year
    Yearly,
}

/// The name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Columns for people
    Table,
    /// Comma-separated values
    Csv,
    /// An array of objects
    Json,
    /// A chart
    Svg,
}

/// Writes the report to `out`. A reader of `out` that goes away ends it quietly.
///
/// # Errors
/// [`HistoryError`], which knows its exit code.
pub fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<(), HistoryError> {
    dates::check_order(args.from, args.to)?;
    let history = History::open(&args.db)?;
    let selection = DaySelection { from: args.from, to: args.to, serials: args.serial.clone() };
    let days = report::days(&history, &selection)?;
    if days.is_empty() {
        tracing::warn!(
            "{}: no day to report{}",
            args.db.display(),
            dates::describe(args.from, args.to)
        );
    }
    let step = match args.periods {
        Periods::Daily => PeriodLength::Day,
        Periods::Monthly => PeriodLength::Month,
        Periods::Yearly => PeriodLength::Year,
    };
    let format = match args.format {
        FormatName::Table => ReportFormat::Table { width: terminal_width() },
        FormatName::Csv => ReportFormat::Csv,
        FormatName::Json => ReportFormat::Json,
        FormatName::Svg => ReportFormat::Svg,
    };
    report::write(&days, step, format, &mut BufWriter::new(out))
        .or_else(HistoryError::unless_unread)
}

/// `None` where standard output is no terminal: a file or a program takes lines of any length.
fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}
