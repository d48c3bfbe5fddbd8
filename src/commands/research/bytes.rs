//! `energi-gateway research bytes`: how each byte of a kind of record behaves.

use anstyle::AnsiColor;
use energi_sinks::settings::Period;
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::input::Captures;
use super::output::{self, Cell, Column, Format, NONE};
use super::selected::{self, Records, Selected};
use crate::commands::amount;
use crate::commands::line::{BOLD, DIM, PLAIN, in_colour};
use crate::platform::exit::{Exit, Failure};
use crate::research::moment::{self, ByteChange};
use crate::research::profile::{self, ByteClass, ByteProfile, WideNumber};

/// Arguments of `research bytes`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    #[command(flatten)]
    records: Records,
    /// Show instead which bytes changed at this time, the rarest change first: a time of the first
    /// day (11:02:30), local time (2026-06-20T11:02:30) or UTC (2026-06-20T10:02:30Z)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,
    /// Time to compare before and after this moment
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = amount::<Period>)]
    window: Period,
    /// Also show bytes that never change
    #[arg(long)]
    constant: bool,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A moment that somebody noted, as written.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Exact(Timestamp),
    Local(DateTime),
    TimeOfDay(Time),
}

fn moment(text: &str) -> Result<Moment, String> {
    text.parse()
        .map(Moment::Exact)
        .or_else(|_| text.parse().map(Moment::TimeOfDay))
        .or_else(|_| text.parse().map(Moment::Local))
        .map_err(|_| "write 11:02:30, 2026-06-20T11:02:30 or 2026-06-20T10:02:30Z".to_owned())
}

impl Moment {
    /// Time in µs since 1970; `first` is the capture's first record.
    fn place(self, first: i64) -> Result<i64, jiff::Error> {
        let local = TimeZone::system();
        let time = match self {
            Self::Exact(time) => time,
            Self::Local(time) => time.to_zoned(local)?.timestamp(),
            Self::TimeOfDay(time) => {
                let first = Timestamp::from_microsecond(first)?.to_zoned(local.clone());
                let at = first.date().to_datetime(time).to_zoned(local)?;
                // Past midnight it is the next day's.
                if at < first { at.tomorrow()?.timestamp() } else { at.timestamp() }
            }
        };
        Ok(time.as_microsecond())
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Selected { series, ended, .. } =
        selected::gather(&args.captures, args.records.selection())?;
    let answer = match args.at {
        None => {
            let shown = |byte: &ByteProfile| args.constant || byte.class != ByteClass::Constant;
            profiles(profile::bytes(&series).iter().filter(|byte| shown(byte)), args.format)?
        }
        Some(at) => {
            let first = series.times().first().copied().unwrap_or(0);
            let at = at.place(first).map_err(|error| Failure::new(Exit::Usage, error))?;
            let changes = moment::changes(&series, at, selected::microseconds(args.window));
            let changes = changes.ok_or_else(|| {
                let time = Timestamp::from_microsecond(at).unwrap_or_default();
                let window = args.window;
                Failure::message(
                    Exit::Data,
                    format!("there is no such record within {window} before and after {time}"),
                )
            })?;
            around(&changes, args.format)?
        }
    };
    super::super::print(answer.as_bytes())?;
    ended
}

fn byte_cells(byte: &ByteProfile) -> Vec<Cell> {
    // Signed and unsigned are the same where nothing is negative.
    let unsigned = |wide: &WideNumber| {
        let name = wide.r#type.replacen('i', "u", 1);
        let same = |other: &WideNumber| other.r#type == name && other.max == wide.max;
        wide.r#type == name || !byte.wide.iter().any(same)
    };
    let wide: Vec<_> = byte
        .wide
        .iter()
        .filter(|wide| wide.plausible && unsigned(wide))
        .map(|wide| format!("{} {} to {}", wide.r#type, wide.min, wide.max))
        .collect();
    let class = match byte.class {
        ByteClass::Constant => DIM,
        ByteClass::Counter => in_colour(AnsiColor::Cyan),
        ByteClass::FlagLike => in_colour(AnsiColor::Yellow),
        ByteClass::Changing => PLAIN,
    };
    let plausible = if wide.is_empty() { PLAIN } else { in_colour(AnsiColor::Green) };
    let or_none = |words: Vec<_>| if words.is_empty() { NONE.into() } else { words.join(", ") };
    vec![
        Cell::styled(BOLD, byte.offset.to_string()),
        Cell::styled(class, byte.class.name()),
        byte.min.to_string().into(),
        byte.max.to_string().into(),
        byte.distinct.to_string().into(),
        byte.bits.to_string().into(),
        format!("{:.2}", byte.entropy).into(),
        byte.changes.to_string().into(),
        Cell::styled(plausible, or_none(wide)),
        or_none(byte.named.iter().map(|&field| field.to_owned()).collect()).into(),
    ]
}

fn profiles<'a>(
    bytes: impl Iterator<Item = &'a ByteProfile>,
    format: Format,
) -> Result<String, Failure> {
    const COLUMNS: &[Column] = &[
        Column::text("Offset"),
        Column::text("Class"),
        Column::numbers("Min"),
        Column::numbers("Max"),
        Column::numbers("Distinct").spare(3),
        Column::text("Bits").spare(1),
        Column::numbers("Entropy").spare(2),
        Column::numbers("Changes").spare(4),
        Column::text("Plausible as"),
        Column::text("Field"),
    ];
    match format {
        Format::Table => Ok(output::table(COLUMNS, bytes.map(byte_cells))),
        Format::Json => output::json(&bytes.collect::<Vec<_>>()),
    }
}

fn change_cells(change: &ByteChange) -> Vec<Cell> {
    let bits: Vec<_> = change.flipped.iter().map(ToString::to_string).collect();
    // What hardly ever moves so far is what was looked for.
    let rare = if change.elsewhere < 0.01 { in_colour(AnsiColor::Green) } else { PLAIN };
    vec![
        Cell::styled(BOLD, change.offset.to_string()),
        format!("0x{:02X}", change.before).into(),
        format!("0x{:02X}", change.after).into(),
        format!("{:.2}", change.moved).into(),
        if bits.is_empty() { NONE.to_owned() } else { bits.join(" ") }.into(),
        Cell::styled(rare, format!("{:.1} %", change.elsewhere * 100.0)),
    ]
}

fn around(changes: &[ByteChange], format: Format) -> Result<String, Failure> {
    const COLUMNS: &[Column] = &[
        Column::text("Offset"),
        Column::numbers("Before"),
        Column::numbers("After"),
        Column::numbers("Mean moved"),
        Column::text("Bits flipped"),
        Column::numbers("As far elsewhere"),
    ];
    match format {
        Format::Json => output::json(&changes),
        Format::Table if changes.is_empty() => {
            Ok("Nothing changed around that moment.\n".to_owned())
        }
        Format::Table => Ok(output::table(COLUMNS, changes.iter().map(change_cells))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_be_noted_as_people_do() {
        let first: Timestamp = "2026-06-20T10:00:00Z".parse().unwrap();
        let place = |text| moment(text).unwrap().place(first.as_microsecond()).unwrap();
        let exact: Timestamp = "2026-06-20T11:02:30Z".parse().unwrap();
        assert_eq!(place("2026-06-20T11:02:30Z"), exact.as_microsecond());
        assert_eq!(place("2026-06-20T12:02:30+01:00"), exact.as_microsecond());
        let day = 86_400_000_000;
        for text in ["23:59:00", "00:01", "2026-06-20T11:02:30"] {
            assert!((place(text) - first.as_microsecond()).abs() <= day, "{text}");
        }
        assert!(moment("noon").is_err());
    }
}
