//! Days by a clock on the wall, as spans of Unix seconds.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A date, and when it lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) begins: i64,
    pub(super) ends: i64,
}

impl Day {
    /// The day that a clock `ahead` seconds fast shows at `second`.
    pub(super) fn containing(second: i64, timezone: &TimeZone, ahead: i64) -> Self {
        let shown = Timestamp::from_second(second.saturating_add(ahead)).unwrap_or(Timestamp::MAX);
        let date = timezone.to_datetime(shown).date();
        let midnight = |date| midnight(date, timezone).map(|second| second.saturating_sub(ahead));
        Self {
            date,
            begins: midnight(date).unwrap_or(i64::MIN),
            ends: date.tomorrow().ok().and_then(midnight).unwrap_or(i64::MAX),
        }
    }

    pub(super) fn contains(&self, second: i64) -> bool {
        (self.begins..self.ends).contains(&second)
    }

    /// Returns when the sun is highest: noon, without daylight saving.
    pub(super) fn solar_noon(&self, timezone: &TimeZone) -> i64 {
        let noon = self.begins.saturating_add(12 * 3600);
        let Ok(time) = Timestamp::from_second(noon) else { return noon };
        if timezone.to_offset_info(time).dst().is_dst() { noon + 3600 } else { noon }
    }
}

fn midnight(date: Date, timezone: &TimeZone) -> Option<i64> {
    Some(date.to_zoned(timezone.clone()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// The day in London that contains its noon, by a clock that many seconds fast.
    fn by_a_clock_fast_by(seconds: i64, date: Date) -> Day {
        let london = TimeZone::get("Europe/London").unwrap();
        let noon = date.at(12, 0, 0, 0).to_zoned(london.clone()).unwrap().timestamp();
        Day::containing(noon.as_second(), &london, seconds)
    }

    #[test]
    fn a_day_has_23_24_or_25_hours() {
        for (date, hours) in
            [(date(2026, 3, 29), 23), (date(2026, 6, 20), 24), (date(2026, 10, 25), 25)]
        {
            let day = by_a_clock_fast_by(0, date);
            assert_eq!((day.date, day.ends - day.begins), (date, hours * 3600));
        }
    }

    #[test]
    fn a_fast_clock_begins_its_days_early() {
        let date = date(2026, 6, 20);
        let (house, device) = (by_a_clock_fast_by(0, date), by_a_clock_fast_by(600, date));
        assert_eq!(device.date, date);
        assert_eq!((device.begins, device.ends), (house.begins - 600, house.ends - 600));
    }
}
