//! `energi-gateway research types`: which kinds of records a capture holds.

use anstyle::AnsiColor;
use energi_decoders::Trust;
use energi_decoders::packets::{self, Reader};
use serde::Serialize;
use tracing::warn;

use super::input::Captures;
use super::output::{self, Cell, Column, Format, NONE};
use crate::commands::line::{BOLD, DIM, in_colour};
use crate::platform::exit::Failure;
use crate::research::record_types::{RecordKey, RecordTypeCounts, RecordTypeStats};

/// Arguments of `research types`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One kind of record, as JSON gives it.
#[derive(Debug, Serialize)]
struct Row {
    length: String,
    record_type: String,
    source: Option<String>,
    count: u64,
    /// Median seconds from one to the next.
    interval: Option<f64>,
    first: Option<String>,
    last: Option<String>,
    decoder: Option<String>,
    status: &'static str,
    sample: String,
}

impl Row {
    fn new(key: &RecordKey, kind: &RecordTypeStats) -> Self {
        let of_class = |class| packets::reader(key.length, key.record_type, Some(class));
        let mut readers: Vec<Reader> = kind.classes().map(of_class).collect();
        readers.dedup();
        let names = readers.iter().filter_map(|reader| reader.layout());
        let names: Vec<_> = names.map(|layout| layout.name.as_ref()).collect();
        let time = |time: jiff::Timestamp| format!("{time:.6}");
        Self {
            length: format!("0x{:02X}", key.length),
            record_type: format!("0x{:04X}", key.record_type),
            source: key.source.map(|source| source.to_string()),
            count: kind.count,
            interval: kind.interval().map(|interval| round(interval.as_secs_f64())),
            first: kind.first.map(time),
            last: kind.last.map(time),
            decoder: (!names.is_empty()).then(|| names.join(", ")),
            status: status(&readers),
            sample: output::hex(&kind.sample),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        const SHOWN: usize = "0x".len() + 2 * 18;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.to_owned());
        // To the second: "2026-06-20T11:02:03".
        let time = |time: &Option<String>| {
            or_none(time).split('.').next().map(|time| time.replace('T', " ")).unwrap_or_default()
        };
        let sample = self.sample.get(..SHOWN).map(|shown| format!("{shown}…"));
        let status = match self.status {
            "confirmed" => AnsiColor::Green,
            "unknown" => AnsiColor::Red,
            _ => AnsiColor::Yellow,
        };
        vec![
            Cell::styled(BOLD, &self.length),
            self.record_type.clone().into(),
            or_none(&self.source).into(),
            self.count.to_string().into(),
            self.interval.map_or_else(|| NONE.to_owned(), |every| format!("{every:.1} s")).into(),
            time(&self.first).into(),
            time(&self.last).into(),
            or_none(&self.decoder).into(),
            Cell::styled(in_colour(status), self.status),
            Cell::styled(DIM, sample.unwrap_or_else(|| self.sample.clone())),
        ]
    }
}

const COLUMNS: &[Column] = &[
    Column::text("Length"),
    Column::text("Type"),
    Column::text("Source").spare(4),
    Column::numbers("Count"),
    Column::numbers("Every"),
    Column::text("First (UTC)").spare(2),
    Column::text("Last (UTC)").spare(3),
    Column::text("Decoder"),
    Column::text("Status"),
    Column::text("Sample").spare(1),
];

/// Rounds to the millisecond: what lies below is the network's.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The word for the best that a decoder makes of the records.
fn status(readers: &[Reader]) -> &'static str {
    let trust = |reader: &Reader| reader.layout().map(|layout| layout.status);
    if readers.iter().any(|reader| trust(reader) == Some(Trust::Confirmed)) {
        "confirmed"
    } else if readers.iter().any(|reader| trust(reader).is_some()) {
        "experimental"
    } else if readers.contains(&Reader::Refused) {
        "refused"
    } else {
        "unknown"
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut kinds = RecordTypeCounts::default();
    let ended = args.captures.read(|frame, time| {
        for record in frame.records() {
            kinds.add(&record, time, frame.source());
        }
    })?;
    if kinds.untold > 0 {
        warn!("{} records are of further kinds, which are not listed", kinds.untold);
    }
    let rows: Vec<_> = kinds.iter().map(|(key, kind)| Row::new(key, kind)).collect();
    let answer = match args.format {
        Format::Table => output::table(COLUMNS, rows.iter().map(Row::cells)),
        Format::Json => output::json(&rows)?,
    };
    super::super::print(answer.as_bytes())?;
    ended
}
