use std::fmt;

use jiff::civil::Date;

use super::energy::{Energy, EnergyDay};

/// How long the periods of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodLength {
    /// A local date each.
    Day,
    /// A calendar month each.
    Month,
    /// A calendar year each.
    Year,
}

/// A calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its length.
    pub step: PeriodLength,
    /// Its first date.
    pub start: Date,
}

impl Period {
    /// The period that `date` lies in.
    #[must_use]
    pub fn of(date: Date, step: PeriodLength) -> Self {
        let start = match step {
            PeriodLength::Day => date,
            PeriodLength::Month => date.first_of_month(),
            PeriodLength::Year => date.first_of_year(),
        };
        Self { step, start }
    }
}

/// `2026-06-20`, `2026-06` or `2026`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.start.year(), self.start.month());
        match self.step {
            PeriodLength::Day => write!(f, "{}", self.start),
            PeriodLength::Month => write!(f, "{year:04}-{month:02}"),
            PeriodLength::Year => write!(f, "{year:04}"),
        }
    }
}

/// What the history says of a device's period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodTotal {
    /// The device.
    pub serial: u32,
    /// The period.
    pub period: Period,
    /// The sums over the days on which each is known.
    pub energy: Energy,
    /// What of it lies on the days on which the device was heard all day long.
    pub complete_energy: Energy,
    /// Days in the history.
    pub days: u32,
    /// Days among them on which the device was heard all day long.
    pub complete_days: u32,
}

impl PeriodTotal {
    /// Whether the energy may be less than what flowed.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.complete_days < self.days
    }
}

/// Sums `days`, ordered by serial number and date, over the periods they lie in.
#[must_use]
pub fn totals(days: &[EnergyDay], step: PeriodLength) -> Vec<PeriodTotal> {
    let place = |day: &EnergyDay| (day.serial, Period::of(day.date, step));
    days.chunk_by(|a, b| place(a) == place(b)).filter_map(|days| total(days, step)).collect()
}

fn total(days: &[EnergyDay], step: PeriodLength) -> Option<PeriodTotal> {
    let first = days.first()?;
    let count = |days: usize| u32::try_from(days).unwrap_or(u32::MAX);
    let complete = || days.iter().filter(|day| day.complete);
    Some(PeriodTotal {
        serial: first.serial,
        period: Period::of(first.date, step),
        energy: days.iter().map(|day| day.energy).sum(),
        complete_energy: complete().map(|day| day.energy).sum(),
        days: count(days.len()),
        complete_days: count(complete().count()),
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn day(serial: u32, date: Date, diverted: Option<f64>, complete: bool) -> EnergyDay {
        EnergyDay { serial, date, energy: Energy { diverted, ..Energy::default() }, complete }
    }

    #[test]
    fn a_period_sums_what_is_known_and_counts_its_days() {
        let days = [
            day(1, date(2026, 6, 29), Some(1.0), true),
            day(1, date(2026, 6, 30), None, false),
            day(1, date(2026, 7, 1), Some(2.5), true),
            day(2, date(2026, 7, 1), None, true),
        ];
        let totals = totals(&days, PeriodLength::Month);
        let said: Vec<_> = totals
            .iter()
            .map(|t| (t.serial, t.period.to_string(), t.energy.diverted, t.days, t.complete_days))
            .collect();
        assert_eq!(
            said,
            [
                (1, "2026-06".to_owned(), Some(1.0), 2, 1),
                (1, "2026-07".to_owned(), Some(2.5), 1, 1),
                (2, "2026-07".to_owned(), None, 1, 1),
            ]
        );
    }
}
