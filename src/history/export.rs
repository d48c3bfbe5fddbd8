use std::io::{self, Write};
use std::ops::Range;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

use super::{History, HistoryError, SAMPLE};

/// Which samples are wanted; an empty list means all.
#[derive(Debug, Clone, Default)]
pub struct SampleSelection {
    /// From its start, up to but without its end.
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
/// [`HistoryError`] where the history has no samples view or cannot be read, and where `out` fails.
pub fn export(
    history: &History,
    samples: &SampleSelection,
    out: &mut dyn Write,
) -> Result<u64, HistoryError> {
    history.require(&SAMPLE)?;
    let failed = |error: &rusqlite::Error| history.error(error);
    let (sql, parameters) = query(samples);
    let mut statement = history.connection().prepare(&sql).map_err(|error| failed(&error))?;
    let mut rows =
        statement.query(rusqlite::params_from_iter(parameters)).map_err(|error| failed(&error))?;

    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(SAMPLE.columns).map_err(output)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(|error| failed(&error))? {
        write_row(history, row, &mut csv)?;
        count += 1;
    }
    csv.flush().map_err(HistoryError::Output)?;
    Ok(count)
}

/// Conditions are left out rather than made vacuous, so that each that is there can use an index.
fn query(samples: &SampleSelection) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut parameters = Vec::new();
    if let Some(time) = &samples.time {
        conditions.push("time >= ? AND time < ?".to_owned());
        parameters.push(time.start.as_millisecond().into());
        parameters.push(time.end.as_millisecond().into());
    }
    let mut one_of = |column: &str, values: Vec<Value>| {
        if !values.is_empty() {
            let places = vec!["?"; values.len()].join(", ");
            conditions.push(format!("{column} IN ({places})"));
            parameters.extend(values);
        }
    };
    one_of("serial", samples.serials.iter().map(|serial| i64::from(*serial).into()).collect());
    one_of("key", samples.keys.iter().map(|key| key.clone().into()).collect());

    let columns = SAMPLE.columns.join(", ");
    let name = SAMPLE.name;
    let mut sql = format!("SELECT {columns} FROM {name}");
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    (sql, parameters)
}

fn write_row(
    history: &History,
    row: &Row<'_>,
    csv: &mut csv::Writer<&mut dyn Write>,
) -> Result<(), HistoryError> {
    let failed = |error: rusqlite::Error| history.error(&error);
    let time: i64 = row.get(0).map_err(failed)?;
    let time = Timestamp::from_millisecond(time).map_err(|_| HistoryError::Data {
        path: history.path().to_owned(),
        why: format!("a sample's time, {time} ms, is out of range; use the latest backup"),
    })?;
    let serial: u32 = row.get(1).map_err(failed)?;
    let key = row.get_ref(2).map_err(failed)?;
    let key = key.as_str().map_err(|error| failed(error.into()))?;
    let value = row.get_ref(3).map_err(failed)?;
    let value = number(value).ok_or_else(|| HistoryError::Data {
        path: history.path().to_owned(),
        why: format!("the {key} of {serial} at {time} is no value; use the latest backup"),
    })?;
    csv.write_record([&format!("{time:.3}"), &serial.to_string(), key, &value]).map_err(output)
}

/// The text of a value as in every output: whole numbers as they are, others in the shortest form
/// that reads back and always with a decimal.
fn number(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => Some(String::new()),
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(energi_decoders::Value::Float(value).to_string()),
        ValueRef::Text(word) => std::str::from_utf8(word).ok().map(str::to_owned),
        ValueRef::Blob(_) => None,
    }
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
