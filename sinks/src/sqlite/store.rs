//! Writes a batch of readings: one transaction that stores them and everything that follows from
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use energi_decoders::Reading;
use energi_decoders::counter::{CounterPoint, WattHours};
use energi_decoders::metric::DIVERTED_KWH_KEY;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::accountant::Recorder;
use super::coverage::{HOLD, Interval, union};
use super::days;
use super::ids::Ids;
use super::metrics::{GENERATION, GRID, METRICS};
use super::rollup::{MINUTE, QUARTER};
use super::rollups;
use super::values;
use super::zone;
use crate::database::StoreError;

/// The packets whose daily counter counts.
const COUNTER_PACKETS: [u8; 2] = [0x1F, 0x20];

/// An open history.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    timezone: TimeZone,
    /// `None` after a failure: what was remembered may have been rolled back.
    ids: Option<Ids>,
    recorders: HashMap<u32, Recorder>,
}

/// What a batch brought that the database did not have.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) serial: u32,
    /// When the device was heard.
    pub(super) heard: Vec<Interval>,
    /// The minutes with new samples of confirmed metrics, by their first microsecond.
    pub(super) minutes: BTreeSet<i64>,
    /// The quarters whose energy changes, by their first microsecond.
    pub(super) quarters: BTreeSet<i64>,
    /// The times of new points of the counter.
    pub(super) points: Vec<i64>,
}

impl Store {
    /// A store over a database of the present schema, its days those of `timezone`.
    pub(super) fn new(mut connection: Connection, timezone: TimeZone) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(32);
        zone::settle(&mut connection, &timezone)?;
        Ok(Self { connection, timezone, ids: None, recorders: HashMap::new() })
    }

    /// Stores the readings that have a time. All of them or, on an error, none: the same batch may
    /// be offered again.
    pub(super) fn write(&mut self, batch: &[Arc<Reading>]) -> Result<(), StoreError> {
        let recorders = self.recorders.clone();
        let result = self.try_write(batch);
        if result.is_err() {
            self.recorders = recorders;
            self.ids = None;
        }
        result
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
        let ids = match &mut self.ids {
            Some(ids) => ids,
            empty => empty.insert(Ids::load(&transaction)?),
        };
        for (device, mut news) in insert(&transaction, ids, &mut self.recorders, batch)? {
            news.heard = union(news.heard);
            rollups::cover(&transaction, device, &news.heard)?;
            rollups::update(&transaction, ids, device, &news)?;
            days::update(&transaction, &self.timezone, device, &news)?;
        }
        Ok(transaction.commit()?)
    }
}

fn insert(
    transaction: &Transaction<'_>,
    ids: &mut Ids,
    recorders: &mut HashMap<u32, Recorder>,
    batch: &[Arc<Reading>],
) -> Result<BTreeMap<i64, News>, StoreError> {
    let mut all: BTreeMap<i64, News> = BTreeMap::new();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO reading (device, time, us, shape, vals) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )?;
    let mut point = transaction.prepare_cached(
        "INSERT INTO energy_point (device, time, energy) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET energy = excluded.energy WHERE excluded.energy > energy",
    )?;
    let mut text = String::new();
    for reading in batch {
        let Some(time) = reading.time else { continue };
        let device = ids.device(transaction, reading.serial)?;
        let shape = ids.shape(transaction, reading.layout())?;
        let micros = time.as_microsecond();
        values::write(&mut text, reading);
        let (ms, us) = (micros.div_euclid(1000), micros.rem_euclid(1000));
        let added = insert.execute((device, ms, us, shape.id, &text))? > 0;
        let news =
            all.entry(device).or_insert_with(|| News { serial: reading.serial, ..News::default() });
        if added {
            news.add(reading, micros);
        }
        if let Some(energy) = counter(reading) {
            let recorder = recorders.entry(reading.serial).or_default();
            for accepted in recorder.offer(CounterPoint { time, energy }) {
                let micros = accepted.time.as_microsecond();
                if point.execute((device, micros, accepted.energy.0))? > 0 {
                    news.points.push(micros);
                }
            }
        }
    }
    Ok(all)
}

impl News {
    fn add(&mut self, reading: &Reading, time: i64) {
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

fn counter(reading: &Reading) -> Option<WattHours> {
    let counts = COUNTER_PACKETS.contains(&reading.packet()) && !reading.experimental();
    let value = counts.then(|| reading.get(DIVERTED_KWH_KEY)).flatten()?;
    Some(WattHours::from_kwh(value.as_f64()))
}

/// Microseconds of the database as a time.
pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
