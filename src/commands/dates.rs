//! The dates of `--from`, `--to` and `--last`.

use std::ops::Range;

use energi_sinks::energy::{CalendarPeriod, PeriodLength};
use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use crate::history::HistoryError;

/// Range of local dates.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct DateRange {
    /// The first local date; a week (2026-W25), month (2026-06) or year stands for its first date
    #[arg(long, value_name = "DATE", value_parser = first)]
    pub from: Option<Date>,

    /// The last local date, included; a week, month or year stands for its last date
    #[arg(long, value_name = "DATE", value_parser = last)]
    pub to: Option<Date>,

    /// The days up to today, such as 7d, 4w, 6m or 1y
    #[arg(long, value_name = "TIME", value_parser = last_span, conflicts_with_all = ["from", "to"])]
    pub last: Option<Span>,
}

impl DateRange {
    /// The range with `last` counted back from today in `zone`.
    pub(super) fn resolve(mut self, zone: &TimeZone) -> Result<Self, HistoryError> {
        if let Some(span) = self.last.take() {
            let today = Timestamp::now().to_zoned(zone.clone()).date();
            let first = today.checked_sub(span).and_then(Date::tomorrow).unwrap_or(Date::MIN);
            (self.from, self.to) = (Some(first), Some(today));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => Err(HistoryError::Usage(format!(
                "--from {from} is after --to {to}; both dates are included"
            ))),
            _ => Ok(self),
        }
    }

    /// The range in words, with a space before it where there is one.
    pub(super) fn describe(&self) -> String {
        match (self.from, self.to) {
            (Some(from), Some(to)) => format!(" from {from} to {to}"),
            (Some(from), None) => format!(" from {from} on"),
            (None, Some(to)) => format!(" up to {to}"),
            (None, None) => String::new(),
        }
    }

    /// Time from the start of the first date in `zone` to the end of the last; `None` where neither
    /// is given.
    pub(super) fn time(&self, zone: &TimeZone) -> Result<Option<Range<Timestamp>>, HistoryError> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let midnight = |date: Date| {
            date.to_zoned(zone.clone())
                .map(|midnight| midnight.timestamp())
                .map_err(|error| HistoryError::Usage(format!("{date}: {error}")))
        };
        let start = self.from.map_or(Ok(Timestamp::MIN), midnight)?;
        let end = match self.to.map(Date::tomorrow) {
            Some(Ok(after)) => midnight(after)?,
            // No date follows the last one there is.
            Some(Err(_)) | None => Timestamp::MAX,
        };
        Ok(Some(start..end))
    }
}

/// Reads a date and nothing but a date.
pub(super) fn date(text: &str) -> Result<Date, String> {
    Date::strptime("%Y-%m-%d", text).map_err(|_| "not a date such as 2026-06-20".to_owned())
}

fn first(text: &str) -> Result<Date, String> {
    period(text).map(|period| period.start)
}

fn last(text: &str) -> Result<Date, String> {
    period(text).map(|period| period.end())
}

fn period(text: &str) -> Result<CalendarPeriod, String> {
    let wrong = || "not a date such as 2026-06-20, 2026-06, 2026-W25 or 2026".to_owned();
    let (start, length) = if let Some((year, week)) = text.split_once("-W") {
        let (year, week) = (year.parse().ok(), week.parse().ok());
        let week = year.zip(week).and_then(|(year, week)| {
            ISOWeekDate::new(year, week, Weekday::Monday).ok().map(ISOWeekDate::date)
        });
        (week, PeriodLength::Week)
    } else {
        let (text, length) = match text.len() {
            4 => (format!("{text}-01-01"), PeriodLength::Year),
            7 => (format!("{text}-01"), PeriodLength::Month),
            _ => (text.to_owned(), PeriodLength::Day),
        };
        (date(&text).ok(), length)
    };
    start.map(|start| CalendarPeriod { length, start }).ok_or_else(wrong)
}

fn last_span(text: &str) -> Result<Span, String> {
    let wrong =
        || "not a number of days, weeks, months or years such as 7d, 4w, 6m or 1y".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<i64>().ok());
    let number = number.filter(|number| (1..=3_660).contains(number)).ok_or_else(wrong)?;
    match unit {
        'd' => Ok(number.days()),
        'w' => Ok(number.weeks()),
        'm' => Ok(number.months()),
        'y' => Ok(number.min(100).years()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date as on;

    use super::*;

    #[test]
    fn a_period_is_its_first_or_last_date() {
        assert_eq!((first("2026-02"), last("2026-02")), (Ok(on(2026, 2, 1)), Ok(on(2026, 2, 28))));
        assert_eq!(
            (first("2026-W01"), last("2026-W01")),
            (Ok(on(2025, 12, 29)), Ok(on(2026, 1, 4)))
        );
        assert_eq!((first("2026"), last("2026")), (Ok(on(2026, 1, 1)), Ok(on(2026, 12, 31))));
        assert_eq!(last("2026-06-20"), Ok(on(2026, 6, 20)));
        for wrong in ["2026-13", "2026-W54", "26-06", "2026-6", "today", "", "20266-1"] {
            assert!(first(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_days_end_today() {
        let zone = TimeZone::UTC;
        let today = Timestamp::now().to_zoned(zone.clone()).date();
        let range = |text| {
            let last = Some(last_span(text).unwrap());
            DateRange { last, ..DateRange::default() }.resolve(&zone).unwrap()
        };
        assert_eq!((range("1d").from, range("1d").to), (Some(today), Some(today)));
        assert_eq!(range("7d").from, Some(today.saturating_sub(6.days())));
        assert_eq!(range("2w").from, Some(today.saturating_sub(13.days())));
        for wrong in ["7", "d", "-7d", "0d", "7h", ""] {
            assert!(last_span(wrong).is_err(), "{wrong}");
        }
    }
}
