//! The sun over a roof at 52 degrees north, and the clouds before it.

use jiff::tz::TimeZone;

use super::day::Day;
use super::random::Random;

/// Half a period of a sine over 0 to 1, by Bhaskara's fraction: within 0.2 %, and the same on every
/// machine, which library functions are not.
fn half_sine(x: f64) -> f64 {
    let product = x * (1.0 - x);
    16.0 * product / (5.0 - 4.0 * product)
}

/// Returns how far the year is from the equinoxes: 1 at midsummer, -1 at midwinter.
fn season(day_of_year: i16) -> f64 {
    let since_equinox = f64::from((day_of_year + 285) % 365) / 365.0;
    if since_equinox < 0.5 {
        half_sine(2.0 * since_equinox)
    } else {
        -half_sine(2.0 * since_equinox - 1.0)
    }
}

#[derive(Debug, Clone, Copy)]
enum Weather {
    Clear,
    Broken,
    Overcast,
}

/// The light on the roof.
#[derive(Debug)]
pub(super) struct Solar {
    random: Random,
    weather: Weather,
    /// The day's greatest light, and when it lasts.
    height: f64,
    sunrise: i64,
    sunset: i64,
    clearness: f64,
    /// Clearness that the sky tends to, and until when.
    target: f64,
    until: i64,
}

impl Solar {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            weather: Weather::Clear,
            height: 0.0,
            sunrise: 0,
            sunset: 0,
            clearness: 0.7,
            target: 0.7,
            until: i64::MIN,
        }
    }

    /// Returns whether it is the dark half of the year.
    pub(super) fn is_winter(&self) -> bool {
        self.height < 0.6
    }

    pub(super) fn begin_day(&mut self, day: &Day, timezone: &TimeZone) {
        let season = season(day.date.day_of_year());
        self.height = 0.68 + 0.32 * season;
        let half_length = ((12.2 + 4.4 * season) * 1800.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "half a day at most")]
        let half_length = half_length as i64;
        let noon = day.solar_noon(timezone);
        (self.sunrise, self.sunset) = (noon - half_length, noon + half_length);
        self.weather = match self.random.unit() {
            draw if draw < 0.3 => Weather::Clear,
            draw if draw < 0.75 => Weather::Broken,
            _ => Weather::Overcast,
        };
    }

    /// The light from `now` for the next two seconds, as a share of the most there can be.
    pub(super) fn light(&mut self, now: i64) -> f64 {
        if now >= self.until {
            self.until = now + i64::from(self.random.between(40, 420));
            let (least, span) = match self.weather {
                Weather::Clear => (0.88, 0.12),
                Weather::Broken if self.random.chance(0.6) => (0.8, 0.2),
                Weather::Broken => (0.22, 0.35),
                Weather::Overcast => (0.08, 0.22),
            };
            self.target = least + span * self.random.unit();
        }
        self.clearness += (self.target - self.clearness) * 0.06;
        if !(self.sunrise..self.sunset).contains(&now) {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
        let passed = (now - self.sunrise) as f64 / (self.sunset - self.sunrise) as f64;
        let sine = half_sine(passed);
        self.height * self.clearness * sine * (0.65 + 0.35 * sine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_are_longest_in_june() {
        let days: Vec<f64> = (1..=365).map(season).collect();
        let longest = (1..=365).max_by(|a, b| days[a - 1].total_cmp(&days[b - 1])).unwrap();
        let shortest = (1..=365).min_by(|a, b| days[a - 1].total_cmp(&days[b - 1])).unwrap();
        assert!((165..180).contains(&longest), "{longest}");
        assert!((345..362).contains(&shortest), "{shortest}");
    }
}
