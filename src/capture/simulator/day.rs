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

    #[test]
    fn a_fast_clock_begins_its_days_early_and_daylight_saving_makes_them_23_or_25_hours() {
        let london = TimeZone::get("Europe/London").unwrap();
        for (day, hours) in
            [(date(2026, 3, 29), 23), (date(2026, 6, 20), 24), (date(2026, 10, 25), 25)]
        {
            let noon = day.at(12, 0, 0, 0).to_zoned(london.clone()).unwrap().timestamp();
            let by_house = Day::containing(noon.as_second(), &london, 0);
            let by_device = Day::containing(noon.as_second(), &london, 600);
            assert_eq!((by_house.date, by_device.date), (day, day));
            assert_eq!(by_house.ends - by_house.begins, hours * 3600);
            assert_eq!(by_device.begins, by_house.begins - 600);
            assert_eq!(by_device.ends, by_house.ends - 600);
        }
    }
}
