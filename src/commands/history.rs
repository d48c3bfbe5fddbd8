//! `energi-gateway history`: a consistent copy, a smaller file, samples as CSV or to InfluxDB.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Subcommand;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[cfg(feature = "influxdb")]
use crate::config::Config;
#[cfg(feature = "influxdb")]
use crate::history::SendSelection;
use crate::history::{self, Existing, History, HistoryError, SampleSelection};
#[cfg(feature = "influxdb")]
use crate::platform::exit::Exit;
use crate::platform::exit::Failure;

use super::dates;

/// What `history` takes.
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// What to do with the history
    #[command(subcommand)]
    pub action: HistoryAction,
}

/// What can be done with a history.
#[derive(Debug, Subcommand)]
pub enum HistoryAction {
    /// Write a consistent copy, also while the gateway is running
    Backup {
        /// The history: the `path` of a sqlite sink
        #[arg(long, value_name = "FILE")]
        db: PathBuf,

        /// The copy, which appears whole or not at all
        #[arg(long, value_name = "FILE")]
        to: PathBuf,

        /// Replace the file of that name
        #[arg(long)]
        force: bool,
    },
    /// Give the space of deleted samples back; the gateway must not be running
    Vacuum {
        /// The history: the `path` of a sqlite sink
        #[arg(long, value_name = "FILE")]
        db: PathBuf,
    },
    /// Write samples as CSV: time (UTC), serial, key, value
    Export(ExportArgs),
    /// Send samples to an InfluxDB sink, also while the gateway is running
    #[cfg(feature = "influxdb")]
    Send(SendArgs),
}

/// What `history export` takes.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The history: the `path` of a sqlite sink
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,

    /// The first local date
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub from: Option<Date>,

    /// The last local date, itself included
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub to: Option<Date>,

    /// Where the local dates begin, such as Europe/London [default: the system's time zone]
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub timezone: Option<TimeZone>,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,

    /// Only this key, such as `grid_pwr`; may be given several times
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
}

/// What `history send` takes.
#[cfg(feature = "influxdb")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What InfluxDB has already stays as it is: the same samples sent twice are stored once. Dates are
those of the configuration's time zone.

Example:
  energi-gateway history send --db energi.db --to influxdb --from 2026-06-01 --to-date 2026-06-30"
)]
pub struct SendArgs {
    /// The history: the `path` of a sqlite sink
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,

    /// The configuration that has the sink [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The name of the influxdb sink
    #[arg(long, value_name = "SINK")]
    pub to: String,

    /// The first local date
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub from: Option<Date>,

    /// The last local date, itself included
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub to_date: Option<Date>,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "not a time zone such as Europe/London".to_owned())
}

/// Does what is asked; results go to `out`. A reader of `out` that goes away ends it quietly.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &HistoryArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let done = match &args.action {
        HistoryAction::Backup { db, to, force } => {
            let existing = if *force { Existing::Replace } else { Existing::Keep };
            let size = history::backup(db, to, existing)?;
            writeln!(out, "{}: {}", to.display(), mebibytes(size)).map_err(HistoryError::Output)
        }
        HistoryAction::Vacuum { db } => {
            let sizes = history::vacuum(db)?;
            let (before, after) = (mebibytes(sizes.before), mebibytes(sizes.after));
            writeln!(out, "{}: {before} before, {after} after", db.display())
                .map_err(HistoryError::Output)
        }
        HistoryAction::Export(args) => export(args, &mut BufWriter::new(out)),
        #[cfg(feature = "influxdb")]
        HistoryAction::Send(args) => {
            let config = super::configuration(args.config.as_deref())?;
            return send(args, &config, out);
        }
    };
    Ok(done.or_else(HistoryError::unless_unread)?)
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<(), HistoryError> {
    dates::check_order(args.from, args.to)?;
    let zone = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let history = History::open(&args.db)?;
    let samples = SampleSelection {
        time: dates::time(args.from, args.to, &zone)?,
        serials: args.serial.clone(),
        keys: args.key.clone(),
    };
    let count = history::export(&history, &samples, out)?;
    out.flush().map_err(HistoryError::Output)?;
    if count == 0 {
        tracing::warn!(
            "{}: no sample to export{}",
            args.db.display(),
            dates::describe(args.from, args.to)
        );
    }
    Ok(())
}

#[cfg(feature = "influxdb")]
fn send(args: &SendArgs, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    dates::check_order(args.from, args.to_date)?;
    let wanted = SendSelection {
        time: dates::time(args.from, args.to_date, &config.timezone)?,
        serials: args.serial.clone(),
    };
    let Some(sent) = history::send(&args.db, wanted, config, &args.to)? else {
        let range = dates::describe(args.from, args.to_date);
        tracing::warn!("{}: no sample to send{range}", args.db.display());
        return Ok(());
    };
    let (points, from, to) = (sent.points, sent.dates.start(), sent.dates.end());
    writeln!(out, "{}: {points} points sent, {from} to {to}", args.to)
        .map_err(HistoryError::Output)
        .or_else(HistoryError::unless_unread)?;
    if sent.refused > 0 {
        let refused = sent.refused;
        let said = format_args!("{}: {refused} points were refused for good; see above", args.to);
        return Err(Failure::message(Exit::Data, said));
    }
    Ok(())
}
