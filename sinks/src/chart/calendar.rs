//! Periods of a chart, and labels of its time axis.

use jiff::civil::Date;

use crate::energy::{CalendarPeriod, PeriodLength, PeriodTotal};

/// The periods from the first to the last, those without data among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    length: PeriodLength,
    first: Date,
    last: Date,
}

/// A label of the time axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) text: String,
    /// The first of the slots it speaks of.
    pub(super) slot: usize,
    /// Number of slots.
    pub(super) slots: usize,
}

/// The two rows of labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// Labels of slots, or of what they are too narrow for.
    pub(super) fine: Vec<Label>,
    /// Labels of the months or years around them.
    pub(super) coarse: Vec<Label>,
}

impl Calendar {
    /// Returns the periods of `totals`; `None` where there is none.
    pub(super) fn of(totals: &[PeriodTotal], length: PeriodLength) -> Option<Self> {
        let starts = || totals.iter().map(|total| total.period.start);
        Some(Self { length, first: starts().min()?, last: starts().max()? })
    }

    pub(super) fn length(self) -> PeriodLength {
        self.length
    }

    /// Returns how many periods there are.
    pub(super) fn slots(self) -> usize {
        self.slot(self.last) + 1
    }

    /// The number, from 0, of the period that `date` lies in.
    pub(super) fn slot(self, date: Date) -> usize {
        let number = |date: Date| match self.length {
            PeriodLength::Day | PeriodLength::Week => {
                let days = self.first.until(date).map_or(0, |span| i64::from(span.get_days()));
                if self.length == PeriodLength::Week { days / 7 } else { days }
            }
            PeriodLength::Month => i64::from(date.year()) * 12 + i64::from(date.month()),
            PeriodLength::Year => i64::from(date.year()),
        };
        usize::try_from(number(date) - number(self.first)).unwrap_or(0)
    }

    /// The periods in words: their first date to their last.
    pub(super) fn range(self) -> String {
        let format = match self.length {
            PeriodLength::Day | PeriodLength::Week => "%-d %B %Y",
            PeriodLength::Month => "%B %Y",
            PeriodLength::Year => "%Y",
        };
        let last = CalendarPeriod { length: self.length, start: self.last }.end();
        let (first, last) = (self.first.strftime(format), last.strftime(format));
        if first.to_string() == last.to_string() {
            first.to_string()
        } else {
            format!("{first} – {last}")
        }
    }

    /// The labels that fit where a slot is `pitch` pixels wide.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some pixels")]
    pub(super) fn labels(self, pitch: f64) -> Labels {
        let pixels = pitch as u32;
        let rows = match (self.length, pixels) {
            (PeriodLength::Day, 18..) => (self.days(|_| true), self.months("%B %Y")),
            (PeriodLength::Day, 5..) => {
                (self.days(|day| matches!(day, 1 | 5 | 10 | 15 | 20 | 25)), self.months("%B %Y"))
            }
            (PeriodLength::Week, 30..) => (self.weeks(), self.months("%B %Y")),
            (PeriodLength::Week, 18..) => (Vec::new(), self.months("%b %Y")),
            (PeriodLength::Day, 1..) | (PeriodLength::Week, 7..) | (PeriodLength::Month, 30..) => {
                (self.months("%b"), self.years(1))
            }
            (PeriodLength::Week, 4..) | (PeriodLength::Month, 14..) => {
                (self.initials(), self.years(1))
            }
            (PeriodLength::Day | PeriodLength::Week, _) => (Vec::new(), self.years(1)),
            (PeriodLength::Month, _) => (Vec::new(), self.years(every(12 * pixels))),
            (PeriodLength::Year, _) => (self.years(every(pixels)), Vec::new()),
        };
        Labels { fine: rows.0, coarse: rows.1 }
    }

    fn weeks(self) -> Vec<Label> {
        self.units(PeriodLength::Week, |date| Some(format!("W{}", date.iso_week_date().week())))
    }

    fn days(self, wanted: impl Fn(i8) -> bool) -> Vec<Label> {
        self.units(PeriodLength::Day, |date| wanted(date.day()).then(|| date.day().to_string()))
    }

    fn months(self, format: &str) -> Vec<Label> {
        self.units(PeriodLength::Month, |date| Some(date.strftime(format).to_string()))
    }

    fn initials(self) -> Vec<Label> {
        self.units(PeriodLength::Month, |date| {
            date.strftime("%b").to_string().get(..1).map(str::to_owned)
        })
    }

    fn years(self, every: i16) -> Vec<Label> {
        self.units(PeriodLength::Year, |date| {
            (date.year() % every == 0).then(|| date.year().to_string())
        })
    }

    /// A label for each unit that `text` has one for, cut to the calendar.
    fn units(self, unit: PeriodLength, text: impl Fn(Date) -> Option<String>) -> Vec<Label> {
        let next =
            |date: Date| CalendarPeriod { length: unit, start: date }.next().map(|it| it.start);
        std::iter::successors(Some(CalendarPeriod::of(self.first, unit).start), |date| next(*date))
            .take_while(|date| *date <= self.last)
            .filter_map(|date| {
                let slot = self.slot(date.max(self.first));
                let end = next(date).filter(|end| *end <= self.last);
                let end = end.map_or(self.slots(), |end| self.slot(end));
                Some(Label { text: text(date)?, slot, slots: end - slot })
            })
            .collect()
    }
}

/// Returns how many years apart labels are, where a year is `pixels` wide.
fn every(pixels: u32) -> i16 {
    /// Width of a label, with room around it, in pixels.
    const WIDTH: u32 = 44;
    [1_u16, 2, 5, 10, 20, 50, 100, 200, 500]
        .into_iter()
        .find(|years| u32::from(*years) * pixels >= WIDTH)
        .and_then(|years| i16::try_from(years).ok())
        .unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn calendar(length: PeriodLength, first: Date, last: Date) -> Calendar {
        Calendar { length, first, last }
    }

    fn texts(labels: &[Label]) -> Vec<&str> {
        labels.iter().map(|label| label.text.as_str()).collect()
    }

    #[test]
    fn dates_without_data_have_their_place() {
        let june = calendar(PeriodLength::Day, date(2026, 6, 28), date(2026, 7, 2));
        assert_eq!(june.slots(), 5);
        assert_eq!(june.slot(date(2026, 7, 1)), 3);
        let months = calendar(PeriodLength::Month, date(2025, 11, 1), date(2026, 2, 1));
        assert_eq!(months.slots(), 4);
        let decade = calendar(PeriodLength::Day, date(2017, 1, 1), date(2026, 12, 31));
        assert_eq!(decade.slots(), 3652);
    }

    #[test]
    fn labels_thin_out_as_slots_get_narrower() {
        let days = calendar(PeriodLength::Day, date(2026, 6, 28), date(2026, 7, 2));
        assert_eq!(texts(&days.labels(100.0).fine), ["28", "29", "30", "1", "2"]);
        assert_eq!(
            days.labels(100.0).coarse,
            [
                Label { text: "June 2026".into(), slot: 0, slots: 3 },
                Label { text: "July 2026".into(), slot: 3, slots: 2 },
            ]
        );
        assert_eq!(texts(&days.labels(6.0).fine), ["1"]);
        let weeks = calendar(PeriodLength::Week, date(2023, 2, 27), date(2023, 5, 1));
        assert_eq!(texts(&weeks.labels(7.0).fine)[1..3], ["Mar", "Apr"]);
        assert_eq!(texts(&weeks.labels(4.0).fine)[1..3], ["M", "A"]);
        assert_eq!(texts(&weeks.labels(3.0).fine), [""; 0]);

        let decade = calendar(PeriodLength::Month, date(2017, 3, 1), date(2026, 8, 1));
        assert_eq!(texts(&decade.labels(3.0).coarse), ["2018", "2020", "2022", "2024", "2026"]);
        let century = calendar(PeriodLength::Year, date(1950, 1, 1), date(2050, 1, 1));
        assert_eq!(texts(&century.labels(10.0).fine).len(), 21);
    }
}
