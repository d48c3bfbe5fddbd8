use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use energi_sinks::sqlite::{StoredReading, StoredReadings};
use jiff::Timestamp;

use super::{HistoryError, open};

/// Readings of a page: each page is a transaction of its own, so that a long export never keeps the
/// gateway from taking its log in.
const PAGE: usize = 2_000;

/// Selection of samples; an empty list means all.
#[derive(Debug, Clone, Default)]
pub struct SampleSelection {
    /// Range of times, without its end.
    pub time: Option<Range<Timestamp>>,
    /// The devices.
    pub serials: Vec<u32>,
    /// The keys.
    pub keys: Vec<String>,
}

/// Writes the samples as CSV, `time,serial,key,value`, as they are read: the memory it takes does
/// not depend on their number. Times are UTC, RFC 3339, to the millisecond. Returns how many
/// samples there were.
///
/// # Errors
/// [`HistoryError`] where the history cannot be read, and where `out` fails.
pub fn export(
    path: &Path,
    samples: &SampleSelection,
    out: &mut dyn Write,
) -> Result<u64, HistoryError> {
    open(path)?;
    let unread = |error| HistoryError::read(path, error);
    let mut history = StoredReadings::open(path).map_err(unread)?.of(&samples.serials);
    let time = samples.time.clone().unwrap_or(Timestamp::MIN..Timestamp::MAX);
    let mut pages = history.pages(time);
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["time", "serial", "key", "value"]).map_err(output)?;
    let mut count = 0;
    loop {
        let page = history.next(&mut pages, PAGE).map_err(unread)?;
        if page.is_empty() {
            break;
        }
        for reading in &page {
            count += write_reading(reading, &samples.keys, &mut csv)?;
        }
    }
    csv.flush().map_err(HistoryError::Output)?;
    Ok(count)
}

/// Writes the values of a reading as every output has them; a flag as 0 or 1.
fn write_reading(
    reading: &StoredReading,
    keys: &[String],
    csv: &mut csv::Writer<&mut dyn Write>,
) -> Result<u64, HistoryError> {
    let time = format!("{:.3}", reading.time);
    let serial = reading.serial.to_string();
    let mut count = 0;
    for (key, value) in reading.fields() {
        if !keys.is_empty() && !keys.iter().any(|wanted| wanted == key) {
            continue;
        }
        let value = match value {
            energi_decoders::Value::Flag(flag) => u8::from(flag).to_string(),
            other => other.to_string(),
        };
        csv.write_record([&time, &serial, key, &value]).map_err(output)?;
        count += 1;
    }
    Ok(count)
}

fn output(error: csv::Error) -> HistoryError {
    HistoryError::Output(io_error(error))
}

/// The I/O error that a CSV error is about, of its kind; `csv`'s own conversion has no kind.
pub(crate) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
