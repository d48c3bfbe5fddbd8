//! Time series from outside a capture: what somebody noted, or what the maker's cloud knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use thiserror::Error;

/// A file that holds no time series.
#[derive(Debug, Error)]
pub enum OutsideError {
    /// Neither JSON nor CSV of the expected shape.
    #[error("{0}")]
    Shape(String),
    /// A time that cannot be read.
    #[error("`{0}` is not a time: write 2026-06-20T11:02:00Z, or seconds since 1970")]
    Time(String),
}

/// A time series: numbers, or words for states.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutsideSeries {
    /// Name of the series; empty where the file gives none.
    pub name: String,
    /// Times in µs since 1970, ascending, with the values as written.
    pub points: Vec<(i64, String)>,
}

impl OutsideSeries {
    /// Numbers of the series, where all are numbers.
    #[must_use]
    pub fn numbers(&self) -> Option<Vec<(i64, f64)>> {
        self.points.iter().map(|(time, value)| Some((*time, value.parse().ok()?))).collect()
    }
}

/// Reads a file of times, names and values: CSV with a heading, or a JSON array of objects. The name
/// may be left out where there is one series.
///
/// # Errors
/// [`OutsideError`] says what is expected.
pub fn parse(text: &str) -> Result<Vec<OutsideSeries>, OutsideError> {
    let text = text.trim_start_matches('\u{feff}');
    let rows = if text.trim_start().starts_with('[') { json_rows(text)? } else { csv_rows(text)? };
    let mut series = BTreeMap::<String, Vec<(i64, String)>>::new();
    for (time, name, value) in rows {
        series.entry(name).or_default().push((moment(&time)?, value));
    }
    Ok(series.into_iter().map(|(name, points)| sorted(name, points)).collect())
}

fn sorted(name: String, mut points: Vec<(i64, String)>) -> OutsideSeries {
    points.sort_by_key(|(time, _)| *time);
    OutsideSeries { name, points }
}

type Row = (String, String, String);

fn csv_rows(text: &str) -> Result<Vec<Row>, OutsideError> {
    let shape = |error: csv::Error| OutsideError::Shape(error.to_string());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headings = reader.headers().map_err(shape)?.clone();
    let column =
        |name: &str| headings.iter().position(|heading| heading.eq_ignore_ascii_case(name));
    let (Some(time), Some(value)) = (column("time"), column("value")) else {
        return Err(OutsideError::Shape(
            "expected CSV with the heading `time,name,value`, or a JSON array of such objects"
                .to_owned(),
        ));
    };
    let name = column("name");
    let records = reader.records().map(|record| {
        let record = record.map_err(shape)?;
        let field = |column: usize| record.get(column).unwrap_or_default().to_owned();
        Ok((field(time), name.map(field).unwrap_or_default(), field(value)))
    });
    records.collect()
}

fn json_rows(text: &str) -> Result<Vec<Row>, OutsideError> {
    let rows: Vec<Map<String, Value>> = serde_json::from_str(text)
        .map_err(|error| OutsideError::Shape(format!("no JSON array of objects: {error}")))?;
    let rows = rows.iter().map(|row| {
        let field = |key: &str| match row.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => u8::from(*flag).to_string(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        if !row.contains_key("time") || !row.contains_key("value") {
            return Err(OutsideError::Shape("each object needs `time` and `value`".to_owned()));
        }
        Ok((field("time"), field("name"), field("value")))
    });
    rows.collect()
}

/// A time in µs since 1970: a moment, a local time, or seconds or milliseconds since 1970.
fn moment(text: &str) -> Result<i64, OutsideError> {
    /// A larger number is of milliseconds.
    const MOST_SECONDS: f64 = 1e11;
    let wrong = || OutsideError::Time(text.to_owned());
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number.abs() > MOST_SECONDS { number / 1000.0 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "some 10^15")]
        return Ok((seconds * 1e6).round() as i64);
    }
    let local = || {
        let time: DateTime = text.parse().map_err(|_| wrong())?;
        time.to_zoned(TimeZone::system()).map(|time| time.timestamp()).map_err(|_| wrong())
    };
    Ok(text.parse::<Timestamp>().or_else(|_| local())?.as_microsecond())
}

/// Number in the cloud's minute history: its unit here, and how many of the cloud's make one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloudUnit {
    /// Unit.
    pub unit: &'static str,
    /// The cloud's number for one of that unit: 60 J in a minute are one watt.
    pub per: f64,
}

/// Returns what a field of the cloud's minute history counts, by the documentation of its public
/// clients.
#[must_use]
pub fn cloud_unit(field: &str) -> CloudUnit {
    match field {
        "v1" | "v2" | "v3" => CloudUnit { unit: "V", per: 10.0 },
        "frq" => CloudUnit { unit: "Hz", per: 100.0 },
        "hsk" => CloudUnit { unit: "°C", per: 10.0 },
        _ => CloudUnit { unit: "W", per: 60.0 },
    }
}

/// Reads the cloud's minute history as its public clients save it: `{"U12345678": [row, ...]}`, or
/// the rows alone. Its times are UTC, and what a row leaves out is zero.
///
/// # Errors
/// [`OutsideError`] says what is expected.
pub fn parse_cloud(text: &str) -> Result<Vec<OutsideSeries>, OutsideError> {
    const WHEN: [&str; 6] = ["yr", "mon", "dom", "dow", "hr", "min"];
    let shape = || {
        OutsideError::Shape(
            "expected the answer of the cloud's minute history: {\"U12345678\": [{\"yr\": 2026, \
             \"mon\": 6, \"dom\": 20, \"hr\": 11, \"min\": 2, ...}, ...]}"
                .to_owned(),
        )
    };
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| OutsideError::Shape(format!("no JSON: {error}")))?;
    let rows: Vec<&Value> = match &value {
        Value::Array(rows) => rows.iter().collect(),
        Value::Object(answer) => answer.values().filter_map(Value::as_array).flatten().collect(),
        _ => return Err(shape()),
    };
    let rows: Vec<(i64, &Map<String, Value>)> = rows
        .into_iter()
        .map(|row| cloud_minute(row).ok_or_else(shape))
        .collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Err(shape());
    }
    let names = rows.iter().flat_map(|(_, row)| row.iter());
    let names = names.filter(|(name, value)| value.is_number() && !WHEN.contains(&name.as_str()));
    let names: std::collections::BTreeSet<&String> = names.map(|(name, _)| name).collect();
    let series = names.into_iter().map(|name| {
        let number = |row: &Map<String, Value>| {
            row.get(name).map_or_else(|| "0".to_owned(), ToString::to_string)
        };
        sorted(name.clone(), rows.iter().map(|(time, row)| (*time, number(row))).collect())
    });
    Ok(series.collect())
}

/// The minute of a row, in µs since 1970.
fn cloud_minute(row: &Value) -> Option<(i64, &Map<String, Value>)> {
    let row = row.as_object()?;
    let number = |key: &str| row.get(key).map_or(Some(0), Value::as_i64);
    let small = |key: &str| i8::try_from(number(key)?).ok();
    let day = (i16::try_from(number("yr")?).ok()?, small("mon")?, small("dom")?);
    let valid = (1..=12).contains(&day.1) && (1..=31).contains(&day.2) && day.0 > 1970;
    let (hour, minute) = (small("hr")?, small("min")?);
    if !valid || !(0..24).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    let time = jiff::civil::Date::new(day.0, day.1, day.2).ok()?.at(hour, minute, 0, 0);
    debug_assert!(time.date() >= date(1970, 1, 1));
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some((time.as_microsecond(), row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_781_956_920_000_000; // 2026-06-20T12:02:00Z

    #[test]
    fn a_series_is_read_as_people_write_it() {
        let csv =
            "\u{feff}Time, Name, Value\n2026-06-20T12:02:00Z,mode,eco\n1781956980,mode,fast\n";
        let json = "[{\"time\": 1781956980000, \"name\": \"mode\", \"value\": \"fast\"},
            {\"time\": \"2026-06-20T14:02:00+02:00\", \"name\": \"mode\", \"value\": \"eco\"}]";
        let points = vec![(NOON, "eco".to_owned()), (NOON + 60_000_000, "fast".to_owned())];
        let expected = [OutsideSeries { name: "mode".to_owned(), points }];
        assert_eq!(parse(csv).unwrap(), expected);
        assert_eq!(parse(json).unwrap(), expected);
        assert_eq!(parse("time,value\n0,1.5\n").unwrap()[0].numbers(), Some(vec![(0, 1.5)]));
        for wrong in ["a,b\n1,2\n", "[1]", "time,value\nnoon,1\n", "[{\"time\": 1}]"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_cloud_leaves_out_is_zero() {
        let text = "{\"U16042300\": [
            {\"yr\": 2026, \"mon\": 6, \"dom\": 20, \"dow\": \"Sat\", \"hr\": 12, \"min\": 2, \"imp\": 60},
            {\"yr\": 2026, \"mon\": 6, \"dom\": 20, \"dow\": \"Sat\", \"hr\": 12, \"gep\": 7}]}";
        let series = parse_cloud(text).unwrap();
        let names: Vec<_> = series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["gep", "imp"]);
        assert_eq!(series[1].numbers(), Some(vec![(NOON - 120_000_000, 0.0), (NOON, 60.0)]));
        for wrong in ["{}", "[]", "[{\"yr\": 2026}]", "7", "{\"U1\": [{\"hr\": 25}]}"] {
            assert!(parse_cloud(wrong).is_err(), "{wrong}");
        }
    }
}
