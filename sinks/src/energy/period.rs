//! Energy by calendar period.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// Energy in kWh, each kind `None` while it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Energy {
    /// Energy that the eddi sent to its heaters.
    pub diverted: Option<f64>,
    /// Energy from the grid.
    pub import: Option<f64>,
    /// Energy to the grid.
    pub export: Option<f64>,
    /// Generated energy.
    pub generation: Option<f64>,
}

impl Energy {
    /// Share of the generation that was used in the house, from 0 to 1; `None` where it is unknown
    /// or nothing was generated.
    #[must_use]
    pub fn self_consumption(&self) -> Option<f64> {
        let (generation, export) = (self.generation?, self.export?);
        share(generation - export, generation)
    }

    /// Share of the consumption that came from the generator, from 0 to 1; `None` where it is
    /// unknown or nothing was consumed.
    #[must_use]
    pub fn self_sufficiency(&self) -> Option<f64> {
        let own = (self.generation? - self.export?).max(0.0);
        share(own, own + self.import?)
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

/// Adds what is known: a sum is unknown only where all its terms are.
impl Add for Energy {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let add = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (known, None) | (None, known) => known,
        };
        Self {
            diverted: add(self.diverted, other.diverted),
            import: add(self.import, other.import),
            export: add(self.export, other.export),
            generation: add(self.generation, other.generation),
        }
    }
}

impl Sum for Energy {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::default(), Self::add)
    }
}

/// Energy of a device on a local date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyDay {
    /// Serial number of the device.
    pub serial: u32,
    /// The local date.
    pub date: Date,
    /// The energy.
    pub energy: Energy,
    /// True if the device was received all day long.
    pub complete: bool,
}

/// Length of the periods of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeriodLength {
    /// A local date each.
    Day,
    /// A week each, Monday to Sunday.
    Week,
    /// A calendar month each.
    Month,
    /// A calendar year each.
    Year,
}

impl PeriodLength {
    /// The next longer one of which each holds whole days; the year for a year.
    #[must_use]
    pub fn coarser(self) -> Self {
        match self {
            Self::Day | Self::Week => Self::Month,
            Self::Month | Self::Year => Self::Year,
        }
    }

    /// Name of one such period.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalendarPeriod {
    /// Length of the period.
    pub length: PeriodLength,
    /// The first date.
    pub start: Date,
}

impl CalendarPeriod {
    /// Returns the period that `date` lies in.
    #[must_use]
    pub fn of(date: Date, length: PeriodLength) -> Self {
        let start = match length {
            PeriodLength::Day => date,
            PeriodLength::Week => {
                let since = date.weekday().since(Weekday::Monday);
                date.checked_sub(since.days()).unwrap_or(Date::MIN)
            }
            PeriodLength::Month => date.first_of_month(),
            PeriodLength::Year => date.first_of_year(),
        };
        Self { length, start }
    }

    /// Returns its last date.
    #[must_use]
    pub fn end(&self) -> Date {
        match self.length {
            PeriodLength::Day => self.start,
            PeriodLength::Week => self.start.saturating_add(6.days()),
            PeriodLength::Month => self.start.last_of_month(),
            PeriodLength::Year => self.start.last_of_year(),
        }
    }

    /// Returns the period after it; `None` at the end of the calendar.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        self.end().tomorrow().ok().map(|start| Self { length: self.length, start })
    }

    /// Returns how many days it has.
    #[must_use]
    pub fn days(&self) -> u32 {
        let days = self.start.until(self.end()).map_or(0, |span| span.get_days());
        u32::try_from(days).unwrap_or_default() + 1
    }
}

/// `2026-06-20`, `2026-W25`, `2026-06` or `2026`.
impl fmt::Display for CalendarPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.start.year(), self.start.month());
        match self.length {
            PeriodLength::Day => write!(f, "{}", self.start),
            PeriodLength::Week => {
                let week = self.start.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            PeriodLength::Month => write!(f, "{year:04}-{month:02}"),
            PeriodLength::Year => write!(f, "{year:04}"),
        }
    }
}

/// Energy of a device in a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodTotal {
    /// Serial number of the device.
    pub serial: u32,
    /// The period.
    pub period: CalendarPeriod,
    /// The sums over the days on which each is known.
    pub energy: Energy,
    /// The part on days on which the device was received all day long.
    pub complete_energy: Energy,
    /// Days in the history.
    pub days: u32,
    /// Days among them on which the device was received all day long.
    pub complete_days: u32,
}

/// Devices beside others of which no energy is known: a zappi or a harvi is in a history for its
/// other values. The totals are ordered by serial number.
#[must_use]
pub fn without_energy(totals: &[PeriodTotal]) -> BTreeSet<u32> {
    let is_known = |total: &PeriodTotal| total.energy != Energy::default();
    let devices = totals.chunk_by(|a, b| a.serial == b.serial);
    let (known, unknown): (Vec<_>, Vec<_>) =
        devices.partition(|device| device.iter().any(is_known));
    if known.is_empty() {
        return BTreeSet::new();
    }
    unknown.into_iter().flatten().map(|total| total.serial).collect()
}

impl PeriodTotal {
    /// Returns whether energy may be missing on one of its days.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.complete_days < self.days
    }

    /// Returns whether the history has only some of the period's days.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.days < self.period.days()
    }
}

/// Sums `days`, ordered by serial number and date, over the periods that they lie in.
#[must_use]
pub fn totals(days: &[EnergyDay], length: PeriodLength) -> Vec<PeriodTotal> {
    let place = |day: &EnergyDay| (day.serial, CalendarPeriod::of(day.date, length));
    days.chunk_by(|a, b| place(a) == place(b)).filter_map(|days| total(days, length)).collect()
}

fn total(days: &[EnergyDay], length: PeriodLength) -> Option<PeriodTotal> {
    let first = days.first()?;
    let count = |days: usize| u32::try_from(days).unwrap_or(u32::MAX);
    let complete = || days.iter().filter(|day| day.complete);
    Some(PeriodTotal {
        serial: first.serial,
        period: CalendarPeriod::of(first.date, length),
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
    fn a_period_sums_its_known_days() {
        let days = [
            day(1, date(2026, 6, 29), Some(1.0), true),
            day(1, date(2026, 6, 30), None, false),
            day(1, date(2026, 7, 1), Some(2.5), true),
            day(2, date(2026, 7, 1), None, true),
        ];
        assert!(!totals(&days, PeriodLength::Day)[0].is_partial(), "a day is all of its period");
        let totals = totals(&days, PeriodLength::Month);
        assert!(totals[0].is_partial(), "two days are not a month");
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

    #[test]
    fn a_week_runs_from_monday_over_the_turn_of_the_year() {
        let week = CalendarPeriod::of(date(2026, 1, 1), PeriodLength::Week);
        assert_eq!((week.start, week.end()), (date(2025, 12, 29), date(2026, 1, 4)));
        assert_eq!(week.to_string(), "2026-W01");
        assert_eq!(week.next().unwrap().to_string(), "2026-W02");
        assert_eq!(CalendarPeriod::of(date(2024, 2, 3), PeriodLength::Month).days(), 29);
    }

    #[test]
    fn shares_follow_from_the_flows() {
        let energy = Energy {
            generation: Some(10.0),
            export: Some(4.0),
            import: Some(2.0),
            ..Energy::default()
        };
        assert_eq!(energy.self_consumption(), Some(0.6));
        assert_eq!(energy.self_sufficiency(), Some(0.75));
        let night = Energy { generation: Some(0.0), export: Some(0.0), ..energy };
        assert_eq!((night.self_consumption(), night.self_sufficiency()), (None, Some(0.0)));
        assert_eq!(Energy { import: None, ..energy }.self_sufficiency(), None);
    }
}
