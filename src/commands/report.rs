//! `energi-gateway report`: energy by day, week, month or year.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use energi_sinks::energy::PeriodLength;
use energi_sinks::sqlite::DaySelection;
use jiff::Timestamp;

use crate::history::{self, HistoryError};
use crate::platform::exit::Failure;
use crate::report::{self, ReportFormat, ReportStyle};
use crate::terminal;

use super::dates::DateRange;
use super::located::HistoryLocation;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  energi-gateway report --last 7d --bars
  energi-gateway report monthly --from 2026 --format csv -o months.csv
  energi-gateway report yearly --format svg -o years.svg")]
pub struct ReportArgs {
    /// The length of the periods
    #[arg(value_enum, default_value_t = Periods::Daily)]
    pub periods: Periods,

    /// Place of the history.
    #[command(flatten)]
    pub location: HistoryLocation,

    /// The dates.
    #[command(flatten)]
    pub dates: DateRange,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,

    /// The format of the report
    #[arg(long, value_enum, default_value_t = FormatName::Table)]
    pub format: FormatName,

    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Draw the diverted energy of each period as a bar in the table
    #[arg(long)]
    pub bars: bool,
}

/// Length of the periods of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Periods {
    /// A line for each local date
    Daily,
    /// A line for each week, Monday to Sunday
    Weekly,
    /// A line for each month
    Monthly,
    /// A line for each year
    Yearly,
}

/// The name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// A table for people
    Table,
    /// Comma-separated values
    Csv,
    /// An array of objects
    Json,
    /// A chart
    Svg,
}

/// Writes the report to `out`, unless it goes to a file. A reader of `out` that goes away ends it
/// quietly.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<(), Failure> {
    if args.format == FormatName::Svg && args.output.is_none() && io::stdout().is_terminal() {
        return Err(HistoryError::Usage(
            "a chart on a terminal is only its text; add --output FILE, such as -o energy.svg"
                .to_owned(),
        )
        .into());
    }
    let located = args.location.find()?;
    let history = history::open(&located.path)?;
    let unread = |error| HistoryError::read(&located.path, error);
    let timezone = history.timezone().map_err(unread)?.unwrap_or(located.timezone);
    let dates = args.dates.resolve(&timezone)?;
    let selection = DaySelection { from: dates.from, to: dates.to, serials: args.serial.clone() };
    let days = history.days(&selection).map_err(unread)?;
    if days.is_empty() {
        tracing::warn!("{}: no day to report{}", located.path.display(), dates.describe());
    }
    let savings = match &located.tariff {
        Some(tariff) => report::savings(&history, &days, tariff, &timezone).map_err(unread)?,
        None => report::Savings::default(),
    };
    let length = match args.periods {
        Periods::Daily => PeriodLength::Day,
        Periods::Weekly => PeriodLength::Week,
        Periods::Monthly => PeriodLength::Month,
        Periods::Yearly => PeriodLength::Year,
    };
    let format = match args.format {
        FormatName::Table => {
            let width = if args.output.is_some() { None } else { terminal::width() };
            ReportFormat::Table { width, bars: args.bars }
        }
        FormatName::Csv => ReportFormat::Csv,
        FormatName::Json => ReportFormat::Json,
        FormatName::Svg => ReportFormat::Svg,
    };
    let style = ReportStyle {
        names: located.names,
        today: Some(Timestamp::now().to_zoned(timezone).date()),
        tariff: located.tariff,
        savings,
    };
    let written = match &args.output {
        Some(path) => {
            let mut file = File::create(path).map_err(|error| HistoryError::io(path, &error))?;
            report::write(&days, length, format, &style, &mut BufWriter::new(&mut file))
        }
        None => report::write(&days, length, format, &style, &mut BufWriter::new(out)),
    };
    Ok(written.or_else(HistoryError::unless_unread)?)
}
