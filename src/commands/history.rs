//! `energi-gateway history`: a consistent copy, a smaller file, samples as CSV.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::history::{self, Error, Existing, History, Samples};

use super::dates;

/// What `history` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do with the history
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with a history.
#[derive(Debug, Subcommand)]
pub enum Action {
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
    Export(Export),
}

/// What `history export` takes.
#[derive(Debug, clap::Args)]
pub struct Export {
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

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "not a time zone such as Europe/London".to_owned())
}

/// Does what is asked; results go to `out`. A reader of `out` that goes away ends it quietly.
///
/// # Errors
/// [`Error`], which knows its exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Error> {
    let done = match &args.action {
        Action::Backup { db, to, force } => {
            let existing = if *force { Existing::Replace } else { Existing::Keep };
            let size = history::backup(db, to, existing)?;
            writeln!(out, "{}: {}", to.display(), mebibytes(size)).map_err(Error::Output)
        }
        Action::Vacuum { db } => {
            let sizes = history::vacuum(db)?;
            let (before, after) = (mebibytes(sizes.before), mebibytes(sizes.after));
            writeln!(out, "{}: {before} before, {after} after", db.display()).map_err(Error::Output)
        }
        Action::Export(args) => export(args, &mut BufWriter::new(out)),
    };
    done.or_else(Error::unless_unread)
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn export(args: &Export, out: &mut dyn Write) -> Result<(), Error> {
    dates::check_order(args.from, args.to)?;
    let history = History::open(&args.db)?;
    let samples =
        Samples { time: time(args)?, serials: args.serial.clone(), keys: args.key.clone() };
    let count = history::export(&history, &samples, out)?;
    out.flush().map_err(Error::Output)?;
    if count == 0 {
        tracing::warn!(
            "{}: no sample to export{}",
            args.db.display(),
            dates::describe(args.from, args.to)
        );
    }
    Ok(())
}

/// From the start of the first date to the end of the last; `None` where neither is given.
fn time(args: &Export) -> Result<Option<Range<Timestamp>>, Error> {
    if args.from.is_none() && args.to.is_none() {
        return Ok(None);
    }
    let zone = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let midnight = |date: Date| {
        date.to_zoned(zone.clone())
            .map(|midnight| midnight.timestamp())
            .map_err(|error| Error::Usage(format!("{date}: {error}")))
    };
    let start = args.from.map_or(Ok(Timestamp::MIN), midnight)?;
    let end = match args.to.map(Date::tomorrow) {
        Some(Ok(after)) => midnight(after)?,
        // No date follows the last one there is.
        Some(Err(_)) | None => Timestamp::MAX,
    };
    Ok(Some(start..end))
}
