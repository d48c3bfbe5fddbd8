//! Writes batches of readings, a transaction each, and now and then everything that follows from
//! them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use energi_decoders::Reading;
use energi_decoders::counter::{CounterPoint, WattHours};
use energi_decoders::metric::DIVERTED_KWH_KEY;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::daily::{Recorder, zone};
use super::ids::Ids;
use super::pending::Pending;
use super::values;
use crate::database::StoreError;

/// The packets whose daily counter counts.
const COUNTER_PACKETS: [u8; 2] = [0x1F, 0x20];

/// Readings of a device that wait for a rollup at most, where the source waits for its sinks.
const MOST_PENDING: usize = 5_000;

/// Longest wait of readings for a rollup.
const ROLLUP_EVERY: Duration = Duration::from_mins(1);

/// The same, by the readings' times.
const ROLLUP_TIME: SignedDuration = SignedDuration::from_secs(60);

/// Part of the database that is kept in memory where the source waits for its sinks: a batch of
/// thousands of readings with its rollup, whose pages would otherwise go to the log more than once.
const BULK_CACHE_KIB: i64 = 4096;

/// Moment when readings are rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RollupPace {
    /// Once a minute by the readings' times.
    Live,
    /// Once a minute by the clock, or when many wait.
    Replay,
}

/// An open history.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    timezone: TimeZone,
    pace: RollupPace,
    /// `None` after a failure: what was remembered may have been rolled back.
    remembered: Option<Remembered>,
    recorders: HashMap<u32, Recorder>,
    /// The newest reading and the time of the last rollup.
    rolled_up: Option<(Timestamp, Instant)>,
}

/// Copy of what the database has, too.
#[derive(Debug)]
struct Remembered {
    ids: Ids,
    pending: Pending,
}

impl Store {
    /// A store over a database of the present schema, its days those of `timezone`.
    pub(super) fn new(
        mut connection: Connection,
        timezone: TimeZone,
        pace: RollupPace,
    ) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(32);
        if pace == RollupPace::Replay {
            connection.pragma_update(None, "cache_size", -BULK_CACHE_KIB)?;
        }
        zone::settle(&mut connection, &timezone)?;
        let (recorders, rolled_up) = (HashMap::new(), None);
        let mut store = Self { connection, timezone, pace, remembered: None, recorders, rolled_up };
        store.roll_up()?;
        Ok(store)
    }

    /// Stores the readings that have a time. All of them or, on an error, none: the same batch may
    /// be offered again.
    pub(super) fn write(&mut self, batch: &[Arc<Reading>]) -> Result<(), StoreError> {
        let recorders = self.recorders.clone();
        let result = self.try_write(batch);
        if result.is_err() {
            self.recorders = recorders;
            self.remembered = None;
        }
        result
    }

    /// Rolls up all that waits.
    pub(super) fn roll_up(&mut self) -> Result<(), StoreError> {
        let result = self.try_roll_up();
        if result.is_err() {
            self.remembered = None;
        }
        result
    }

    /// The first of the times whose readings a rollup still needs, in microseconds.
    pub(super) fn needed_from(&self) -> Option<i64> {
        self.remembered.as_ref().and_then(|remembered| remembered.pending.needed_from())
    }

    /// The database, for upkeep.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Lets go of the database.
    pub(super) fn close(self) -> Result<(), StoreError> {
        self.connection.close().map_err(|(_, error)| error.into())
    }

    fn try_write(&mut self, batch: &[Arc<Reading>]) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let remembered = remember(&mut self.remembered, &transaction)?;
        insert(&transaction, remembered, &mut self.recorders, batch)?;
        let newest = batch.iter().filter_map(|reading| reading.time).max();
        let is_due = |newest: Timestamp| {
            self.rolled_up.is_none_or(|(last, at)| match self.pace {
                RollupPace::Live => {
                    // A clock that was set back starts the minute again.
                    newest < last || newest.duration_since(last) >= ROLLUP_TIME
                }
                RollupPace::Replay => {
                    at.elapsed() >= ROLLUP_EVERY
                        || remembered.pending.readings_each() >= MOST_PENDING
                }
            })
        };
        let due = newest.filter(|newest| is_due(*newest));
        if due.is_some() {
            remembered.pending.apply(&transaction, &mut remembered.ids, &self.timezone)?;
        }
        transaction.commit()?;
        if let Some(newest) = due {
            self.rolled_up = Some((newest, Instant::now()));
        }
        Ok(())
    }

    fn try_roll_up(&mut self) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let remembered = remember(&mut self.remembered, &transaction)?;
        if remembered.pending.is_empty() {
            return Ok(());
        }
        remembered.pending.finish(&transaction, &mut remembered.ids, &self.timezone)?;
        Ok(transaction.commit()?)
    }
}

/// Reads what the database has, unless it is known.
fn remember<'r>(
    remembered: &'r mut Option<Remembered>,
    connection: &Connection,
) -> Result<&'r mut Remembered, StoreError> {
    match remembered {
        Some(remembered) => Ok(remembered),
        empty => {
            let ids = Ids::load(connection)?;
            let pending = Pending::load(connection, &ids)?;
            Ok(empty.insert(Remembered { ids, pending }))
        }
    }
}

/// Stores readings, device by device: those of one lie side by side, and so few pages are in use at
/// a time.
fn insert(
    transaction: &Transaction<'_>,
    remembered: &mut Remembered,
    recorders: &mut HashMap<u32, Recorder>,
    batch: &[Arc<Reading>],
) -> Result<(), StoreError> {
    let Remembered { ids, pending } = remembered;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO reading (device, time, us, shape, vals) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )?;
    let mut find = transaction.prepare_cached(
        "UPDATE OR IGNORE reading SET shape = ?4
         WHERE device = ?1 AND time = ?2 AND us = ?3 AND shape = ?6 AND vals = ?5",
    )?;
    let mut point = transaction.prepare_cached(
        "INSERT INTO energy_point (device, time, energy) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET energy = excluded.energy WHERE excluded.energy > energy",
    )?;
    let mut text = String::new();
    let mut batch: Vec<&Reading> = batch.iter().map(Arc::as_ref).collect();
    batch.sort_by_key(|reading| reading.serial);
    for reading in batch {
        let Some(time) = reading.time else { continue };
        let device = ids.device(transaction, reading.serial)?;
        let shape = ids.shape(transaction, reading)?;
        let micros = time.as_microsecond();
        values::write(&mut text, reading);
        let (ms, us) = (micros.div_euclid(1000), micros.rem_euclid(1000));
        // The packet of a reading that an older release stored is known now.
        let is_found = match shape.older {
            Some(older) => find.execute((device, ms, us, shape.id, &text, older))? > 0,
            None => false,
        };
        if !is_found && insert.execute((device, ms, us, shape.id, &text))? > 0 {
            let is_confirmed = !reading.experimental();
            let has_power = is_confirmed && shape.has_power();
            pending.mark(transaction, device, micros)?;
            pending.device(device, reading.serial).add(micros, is_confirmed, has_power);
            pending.count();
        }
        if let Some(energy) = counter(reading) {
            let recorder = recorders.entry(reading.serial).or_default();
            for accepted in recorder.offer(CounterPoint { time, energy }) {
                let micros = accepted.time.as_microsecond();
                if point.execute((device, micros, accepted.energy.0))? > 0 {
                    pending.mark(transaction, device, micros)?;
                    pending.device(device, reading.serial).points.push(micros);
                }
            }
        }
    }
    Ok(())
}

fn counter(reading: &Reading) -> Option<WattHours> {
    let counts = COUNTER_PACKETS.contains(&reading.packet()) && !reading.experimental();
    let value = counts.then(|| reading.get(DIVERTED_KWH_KEY)).flatten()?;
    Some(WattHours::from_kwh(value.as_f64()))
}
