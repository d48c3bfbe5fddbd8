//! The dates of `--from` and `--to`.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::history::HistoryError;

/// Reads a date and nothing but a date.
pub(super) fn parse(text: &str) -> Result<Date, String> {
    Date::strptime("%Y-%m-%d", text).map_err(|_| "not a date such as 2026-06-20".to_owned())
}

pub(super) fn check_order(from: Option<Date>, to: Option<Date>) -> Result<(), HistoryError> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => Err(HistoryError::Usage(format!(
            "--from {from} is after --to {to}; both dates are included"
        ))),
        _ => Ok(()),
    }
}

/// The range in words, with a space before it where there is one.
pub(super) fn describe(from: Option<Date>, to: Option<Date>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!(" from {from} to {to}"),
        (Some(from), None) => format!(" from {from} on"),
        (None, Some(to)) => format!(" up to {to}"),
        (None, None) => String::new(),
    }
}

/// From the start of the first date in `zone` to the end of the last; `None` where neither is
/// given.
pub(super) fn time(
    from: Option<Date>,
    to: Option<Date>,
    zone: &TimeZone,
) -> Result<Option<Range<Timestamp>>, HistoryError> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let midnight = |date: Date| {
        date.to_zoned(zone.clone())
            .map(|midnight| midnight.timestamp())
            .map_err(|error| HistoryError::Usage(format!("{date}: {error}")))
    };
    let start = from.map_or(Ok(Timestamp::MIN), midnight)?;
    let end = match to.map(Date::tomorrow) {
        Some(Ok(after)) => midnight(after)?,
        // No date follows the last one there is.
        Some(Err(_)) | None => Timestamp::MAX,
    };
    Ok(Some(start..end))
}
