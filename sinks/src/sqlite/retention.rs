//! Takes single readings out once they are old. What was made of them stays.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tracing::info;

use super::rollup::compute::{QUARTER, reach};
use crate::database::StoreError;

/// Interval, in the time of the readings, at which old readings are removed, in ms.
const PAUSE: i64 = 3_600_000;

/// Most rows that go at a time, so that a batch never waits long.
const STEP: usize = 2_000;

/// Interval at which the log reports removed samples.
const REPORT: Duration = Duration::from_hours(24);

/// Keeps readings for so long, and no longer. Times are in milliseconds since 1970 UTC.
#[derive(Debug)]
pub(super) struct RetentionSweep {
    keep: i64,
    /// Everything older than this is gone.
    done: i64,
    removed: usize,
    reported: Option<Instant>,
}

/// The times of the readings of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchTimes {
    /// The oldest.
    pub(super) oldest: Timestamp,
    /// The newest.
    pub(super) newest: Timestamp,
}

impl RetentionSweep {
    /// Readings are kept for `keep`.
    pub(super) fn new(keep: Duration) -> Self {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        Self { keep, done: i64::MIN, removed: 0, reported: None }
    }

    /// Removes what is old, a step at a time, until nothing is left or `patience` is at an end.
    pub(super) fn sweep(
        &mut self,
        connection: &mut Connection,
        patience: Duration,
    ) -> Result<(), StoreError> {
        let Some(horizon) = self.horizon(connection)? else { return Ok(()) };
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.step(connection, horizon, STEP)? {
                self.done = horizon;
                break;
            }
        }
        self.report();
        Ok(())
    }

    /// Removes some of what is old, if it is time, after a batch was written. It takes out more
    /// than the batch brought, so that nothing piles up.
    ///
    /// What the last batch may not have filled yet is left: a quarter of an hour is not to be made
    /// from half its readings. Nor is what a rollup still needs, from `needed_from` on.
    pub(super) fn after_batch(
        &mut self,
        connection: &mut Connection,
        batch: BatchTimes,
        readings: usize,
        needed_from: Option<i64>,
    ) -> Result<(), StoreError> {
        let newest = batch.newest.as_millisecond().saturating_sub(self.keep);
        let oldest = batch.oldest.as_millisecond();
        if newest < self.done.saturating_add(PAUSE) && oldest >= self.done {
            return Ok(());
        }
        let Some(horizon) = self.horizon(connection)? else { return Ok(()) };
        let filling = batch.oldest.as_microsecond();
        let filling = reach(filling - filling.rem_euclid(QUARTER)).start;
        let filling = needed_from.map_or(filling, |needed| needed.min(filling)) / 1000;
        if self.step(connection, horizon.min(filling), STEP.max(readings * 2))? {
            self.done = horizon;
        }
        self.report();
        Ok(())
    }

    /// Says what was removed, now and then.
    fn report(&mut self) {
        if self.removed == 0 || self.reported.is_some_and(|said| said.elapsed() < REPORT) {
            return;
        }
        let before = Timestamp::from_millisecond(self.done)
            .map_or_else(|_| "the horizon of retention".to_owned(), |time| format!("{time:.0}"));
        info!(removed = self.removed, "readings from before {before} removed; averages stay");
        (self.removed, self.reported) = (0, Some(Instant::now()));
    }

    /// Readings older than this go: counted back from the earlier of now and the newest reading.
    fn horizon(&self, connection: &Connection) -> Result<Option<i64>, StoreError> {
        let newest: Option<i64> = connection
            .prepare_cached(
                "SELECT max((SELECT max(time) FROM reading WHERE device = device.id)) FROM device",
            )?
            .query_row([], |row| row.get(0))?;
        let now = Timestamp::now().as_millisecond();
        Ok(newest.map(|newest| newest.min(now).saturating_sub(self.keep)))
    }

    /// Removes about `rows` of each device's oldest readings; whether none are left.
    fn step(
        &mut self,
        connection: &mut Connection,
        horizon: i64,
        rows: usize,
    ) -> Result<bool, StoreError> {
        let transaction = connection.transaction()?;
        let devices: Vec<i64> = transaction
            .prepare_cached("SELECT id FROM device")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut all = true;
        let mut removed = 0;
        for device in devices {
            let next: Option<i64> = transaction
                .prepare_cached(
                    "SELECT time FROM reading WHERE device = ?1 AND time < ?2
                     ORDER BY time LIMIT 1 OFFSET ?3",
                )?
                .query_row((device, horizon, i64::try_from(rows).unwrap_or(i64::MAX)), |row| {
                    row.get(0)
                })
                .optional()?;
            all &= next.is_none();
            // Readings of one millisecond go together.
            let until = next.map_or(horizon, |next| next + 1);
            removed += transaction
                .prepare_cached("DELETE FROM reading WHERE device = ?1 AND time < ?2")?
                .execute((device, until))?;
        }
        transaction.commit()?;
        self.removed += removed;
        Ok(all)
    }
}
