//! What a batch brought that the database did not have.

use std::collections::BTreeSet;

use energi_decoders::Reading;
use jiff::Timestamp;

use super::rollup::compute::{MINUTE, QUARTER};
use super::rollup::coverage::{HOLD, Interval};
use super::rollup::metrics::{GENERATION, GRID, METRICS};

/// What a batch brought of one device. Times are microseconds since 1970 UTC.
#[derive(Debug, Default)]
pub(super) struct BatchChanges {
    pub(super) serial: u32,
    /// When the device was received.
    pub(super) heard: Vec<Interval>,
    /// The minutes with new samples of confirmed metrics, by their first microsecond.
    pub(super) minutes: BTreeSet<i64>,
    /// The quarters whose energy changes, by their first microsecond.
    pub(super) quarters: BTreeSet<i64>,
    /// The times of new points of the counter.
    pub(super) points: Vec<i64>,
}

impl BatchChanges {
    /// Nothing yet of the device `serial`.
    pub(super) fn of(serial: u32) -> Self {
        Self { serial, ..Self::default() }
    }

    /// Adds a reading that the database did not have.
    pub(super) fn add(&mut self, reading: &Reading, time: i64) {
        self.heard.push(Interval::at(time));
        if reading.experimental() {
            return;
        }
        self.minutes.insert(time - time.rem_euclid(MINUTE));
        if reading.get(METRICS[GRID].key).or(reading.get(METRICS[GENERATION].key)).is_some() {
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
