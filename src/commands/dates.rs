//! The dates of `--from` and `--to`.

use jiff::civil::Date;

use crate::history::Error;

/// Reads a date and nothing but a date.
pub(super) fn parse(text: &str) -> Result<Date, String> {
    Date::strptime("%Y-%m-%d", text).map_err(|_| "not a date such as 2026-06-20".to_owned())
}

pub(super) fn check_order(from: Option<Date>, to: Option<Date>) -> Result<(), Error> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(Error::Usage(format!("--from {from} is after --to {to}; both dates are included")))
        }
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
