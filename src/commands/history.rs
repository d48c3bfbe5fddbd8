//! `energi-gateway history`: a consistent copy, a smaller file, samples as CSV or to another sink, a
//! device removed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Subcommand;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::history::{self, HistoryError, SampleSelection};
use crate::platform::exit::Failure;
use crate::platform::files::Existing;

use super::dates::{self, DateRange};
use super::located::HistoryLocation;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// The operation on the history
    #[command(subcommand)]
    pub action: HistoryAction,
}

/// Operations on a history.
#[derive(Debug, Subcommand)]
pub enum HistoryAction {
    /// Write a consistent copy, also while the gateway is running
    Backup {
        /// Place of the history.
        #[command(flatten)]
        location: HistoryLocation,

        /// The file of the copy
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,

        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
    /// Free the space of deleted samples in the file; stop the gateway first
    Vacuum {
        /// Place of the history.
        #[command(flatten)]
        location: HistoryLocation,
    },
    /// Write samples as CSV: time (UTC), serial, key, value
    Export(ExportArgs),
    /// Remove a device, or its data from before a date; stop the gateway first
    Forget(ForgetArgs),
    /// Send samples to another sink, also while the gateway is running
    #[cfg(any(feature = "influxdb", feature = "postgres"))]
    Send(SendArgs),
}

/// Arguments of `history export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Place of the history.
    #[command(flatten)]
    pub location: HistoryLocation,

    /// The dates.
    #[command(flatten)]
    pub dates: DateRange,

    /// The time zone of the local dates, such as Europe/London [default: as in the history]
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub timezone: Option<TimeZone>,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,

    /// Only this key, such as `grid_pwr`; may be given several times
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,

    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `history forget`.
#[derive(Debug, clap::Args)]
pub struct ForgetArgs {
    /// Place of the history.
    #[command(flatten)]
    pub location: HistoryLocation,

    /// The device
    #[arg(long, value_name = "N")]
    pub serial: u32,

    /// Remove only data from before this local date
    #[arg(long, value_name = "DATE", value_parser = dates::date)]
    pub before: Option<Date>,

    /// Do not ask first
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `history send`.
#[cfg(any(feature = "influxdb", feature = "postgres"))]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An influxdb or postgres sink can be named. Samples that the server already has do not change: a sample \
that is sent twice is stored once. A postgres sink receives the daily energy, too. Dates are local dates in the configuration's time \
zone.

Example:
  energi-gateway history send --sink influxdb --from 2026-06"
)]
pub struct SendArgs {
    /// Place of the history.
    #[command(flatten)]
    pub location: HistoryLocation,

    /// The name of the sink
    #[arg(long, value_name = "NAME")]
    pub sink: String,

    /// The dates.
    #[command(flatten)]
    pub dates: DateRange,

    /// Only this device; may be given several times
    #[arg(long, value_name = "N")]
    pub serial: Vec<u32>,
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "not a time zone such as Europe/London".to_owned())
}

/// Runs the command; results go to `out`. A reader of `out` that goes away ends it quietly.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &HistoryArgs, out: &mut dyn Write) -> Result<(), Failure> {
    match &args.action {
        HistoryAction::Backup { location, output, force } => {
            let existing = if *force { Existing::Replace } else { Existing::Keep };
            let size = history::backup(&location.find()?.path, output, existing)?;
            say(out, format_args!("{}: {}", output.display(), mebibytes(size)))
        }
        HistoryAction::Vacuum { location } => {
            let db = location.find()?.path;
            let sizes = history::vacuum(&db)?;
            let (before, after) = (mebibytes(sizes.before), mebibytes(sizes.after));
            say(out, format_args!("{}: {before} before, {after} after", db.display()))
        }
        HistoryAction::Export(args) => export(args, out),
        HistoryAction::Forget(args) => forget(args, out),
        #[cfg(any(feature = "influxdb", feature = "postgres"))]
        HistoryAction::Send(args) => send(args, out),
    }
}

/// Writes a result; a reader that has gone has seen enough.
fn say(out: &mut dyn Write, result: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    let written = writeln!(out, "{result}").map_err(HistoryError::Output);
    Ok(written.or_else(HistoryError::unless_unread)?)
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let located = args.location.find()?;
    let db = &located.path;
    let stored = history::open(db)?.timezone().map_err(|error| HistoryError::read(db, error))?;
    let zone = args.timezone.clone().or(stored).unwrap_or(located.timezone);
    let dates = args.dates.resolve(&zone)?;
    let samples = SampleSelection {
        time: dates.time(&zone)?,
        serials: args.serial.clone(),
        keys: args.key.clone(),
    };
    let write = |out: &mut dyn Write| {
        let mut out = BufWriter::new(out);
        let count = history::export(db, &samples, &mut out)?;
        out.flush().map_err(HistoryError::Output)?;
        if count == 0 {
            tracing::warn!("{}: no sample to export{}", db.display(), dates.describe());
        }
        Ok(())
    };
    let done: Result<(), HistoryError> = match &args.output {
        Some(path) => File::create(path)
            .map_err(|error| HistoryError::io(path, &error))
            .and_then(|mut file| write(&mut file)),
        None => write(out),
    };
    Ok(done.or_else(HistoryError::unless_unread)?)
}

fn forget(args: &ForgetArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let located = args.location.find()?;
    let serial = args.serial;
    let name = located.names.get(&serial).map(|name| format!(" ({name})")).unwrap_or_default();
    let what = match args.before {
        Some(date) => format!("everything of device {serial}{name} from before {date}"),
        None => format!("device {serial}{name} and all its data in the history"),
    };
    if !super::confirmed(&format!("Remove {what}?"), args.yes)? {
        return say(out, format_args!("nothing is changed"));
    }
    let removed = history::forget(&located.path, serial, args.before)?;
    let (days, readings) = (removed.days, removed.readings);
    say(
        out,
        format_args!("{}: {days} days and {readings} readings removed", located.path.display()),
    )
}

#[cfg(any(feature = "influxdb", feature = "postgres"))]
fn send(args: &SendArgs, out: &mut dyn Write) -> Result<(), Failure> {
    use energi_sinks::sqlite::DaySelection;

    use crate::platform::exit::Exit;

    let config = super::configuration(args.location.config.as_deref())?;
    let db = args.location.find()?.path;
    let dates = args.dates.resolve(&config.timezone)?;
    let time = dates.time(&config.timezone)?;
    let days = DaySelection { from: dates.from, to: dates.to, serials: args.serial.clone() };
    let selection = history::SendSelection { days, time };
    let Some(sent) = history::send(&db, &selection, &config, &args.sink)? else {
        tracing::warn!("{}: no sample to send{}", db.display(), dates.describe());
        return Ok(());
    };
    let (accepted, from, to) = (&sent.accepted, sent.dates.start(), sent.dates.end());
    say(out, format_args!("{}: {accepted} sent, {from} to {to}", args.sink))?;
    if sent.left_out > 0 {
        let (count, why) = (sent.left_out, sent.left_out_because);
        tracing::warn!("{}: {count} readings were left out: {why}", args.sink);
    }
    if sent.refused > 0 {
        let (refused, items) = (sent.refused, accepted.items);
        let said =
            format_args!("{}: {refused} {items} were refused for good; see above", args.sink);
        return Err(Failure::message(Exit::Data, said));
    }
    Ok(())
}
