//! Daily energy: from a device's counter to the energy of each local date.
//!
//! The counter starts from zero at the *device's* midnight and can be transiently zero or wild.
//! What the quality gate lets through goes to a [`Recorder`], which keeps the readings that can be
//! believed and thins them to the points worth storing. A day is then a pure function of stored
//! points ([`day`]): restarts, captures replayed twice and older captures double nothing.
//!
//! Nothing here reads a clock, a file or a channel.

mod border;
mod recorder;
mod runs;
pub(super) mod store;
#[cfg(test)]
mod tests;
pub(super) mod zone;

use std::ops::Range;

use energi_decoders::counter::{CounterPoint, WattHours};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use recorder::Recorder;

use crate::energy::midnights;

use runs::Runs;

/// Reach of a date's points before its midnight: to the two device midnights before it, which show
/// how far the device's clock is from ours.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(50);

/// Reach of a date's points past its end: further than its border can lie.
const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(3);

/// The energy of one local date, as the device shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DivertedDay {
    /// Energy by the counter; `None` if no point lies between the borders.
    pub diverted: Option<WattHours>,
    /// Start and end of the date.
    pub borders: [Border; 2],
    /// Restarts of the device between the borders: the last point before and the first after. What
    /// flowed in a gap there was reset unseen, so the date is not complete (rule 8).
    pub restarts: Vec<[Timestamp; 2]>,
}

/// Border of two dates: somewhere after one point and not after another.
///
/// What flowed in between and was reset unseen is not counted, so a date whose border interval
/// touches a gap in the device's frames is not complete, unless the counter shows all that the date
/// that begins diverted: see [`fresh`](Self::fresh).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// The last point of the date before; `None` where there is none.
    pub after: Option<Timestamp>,
    /// The first point of the date that begins; `None` where there is none yet.
    pub until: Option<Timestamp>,
    /// True if the counter is seen to have started from zero: what the date that begins diverted,
    /// its counter shows. A gap here can only have cost the date that ends.
    pub fresh: bool,
}

/// The times of the points that [`day`] needs for `date`.
#[must_use]
pub fn window(date: Date, tz: &TimeZone) -> Range<Timestamp> {
    let [begin, end] = midnights(date, tz);
    let start = begin.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
    start..end.checked_add(LOOK_AHEAD).unwrap_or(Timestamp::MAX)
}

/// The dates whose [`window`] holds `time`, oldest first: those that a point at `time` can change.
///
/// Most of them lie after `time`. A date later than the day after the newest point has no energy
/// yet and needs no computing.
pub fn touched(time: Timestamp, tz: &TimeZone) -> impl Iterator<Item = Date> {
    let tz = tz.clone();
    let here = time.to_zoned(tz.clone()).date();
    // One date more on either side than the window reaches: `window` has the last word.
    let first = here.checked_sub(SignedDuration::from_hours(48)).unwrap_or(Date::MIN);
    let days = usize::try_from(LOOK_BACK.as_hours() / 24 + 5).unwrap_or(usize::MAX);
    first
        .series(jiff::Span::new().days(1))
        .take(days)
        .filter(move |date| window(*date, &tz).contains(&time))
}

/// The energy of `date`, from the stored points of its [`window`], sorted by time, no two of one
/// time.
#[must_use]
pub fn day(date: Date, tz: &TimeZone, points: &[CounterPoint]) -> DivertedDay {
    let [begin, end] = midnights(date, tz);
    let runs = Runs::of(points);
    let begin = border::find(&runs, begin, tz);
    let end = border::find(&runs, end, tz);
    let counted = begin.first..end.first;
    DivertedDay {
        diverted: runs.energy(counted.clone(), begin.carry_over),
        borders: [begin.place(&runs), end.place(&runs)],
        restarts: runs.resets_within(&counted).filter_map(|reset| runs.around(reset)).collect(),
    }
}
