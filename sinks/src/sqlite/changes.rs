//! New data that the database did not have.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::rollup::compute::{MINUTE, QUARTER};
use super::rollup::coverage::{HOLD, Interval};

/// Changes of one device since its last rollup. Times are microseconds since 1970 UTC.
#[derive(Debug, Default)]
pub(super) struct BatchChanges {
    pub(super) serial: u32,
    /// Intervals in which the device was received.
    pub(super) heard: Vec<Interval>,
    /// The minutes with new samples of confirmed metrics, by their first microsecond.
    pub(super) minutes: BTreeSet<i64>,
    /// The quarters whose energy changes, by their first microsecond.
    pub(super) quarters: BTreeSet<i64>,
    /// The times of new points of the counter.
    pub(super) points: Vec<i64>,
}

impl BatchChanges {
    /// Starts without a change of the device `serial`.
    pub(super) fn of(serial: u32) -> Self {
        Self { serial, ..Self::default() }
    }

    /// Adds a reading that the database did not have: its time, whether it has confirmed metrics,
    /// and a power that counts among them.
    pub(super) fn add(&mut self, time: i64, is_confirmed: bool, has_power: bool) {
        match self.heard.last_mut() {
            Some(last) if (last.start..=last.end + HOLD).contains(&time) => {
                last.end = last.end.max(time);
            }
            _ => self.heard.push(Interval::at(time)),
        }
        if !is_confirmed {
            return;
        }
        self.minutes.insert(time - time.rem_euclid(MINUTE));
        if has_power {
            // It cuts the hold of the one before it, and holds for a while itself.
            for touched in [time, time + HOLD] {
                self.quarters.insert(touched - touched.rem_euclid(QUARTER));
            }
        }
    }
}

/// Microseconds of the database as a time.
pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
