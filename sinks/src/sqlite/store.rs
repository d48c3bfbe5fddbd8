//! Writes a batch of readings: one transaction that stores them and everything that follows from
//! them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use energi_decoders::Reading;
use energi_decoders::counter::{CounterPoint, WattHours};
use energi_decoders::metric::DIVERTED_KWH_KEY;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::changes::BatchChanges;
use super::daily::{self, Recorder};
use super::ids::Ids;
use super::rollup::{self, coverage::union};
use super::values;
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

impl Store {
    /// A store over a database of the present schema, its days those of `timezone`.
    pub(super) fn new(mut connection: Connection, timezone: TimeZone) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(32);
        daily::zone::settle(&mut connection, &timezone)?;
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
        for (device, mut changes) in insert(&transaction, ids, &mut self.recorders, batch)? {
            changes.heard = union(changes.heard);
            rollup::store::cover(&transaction, device, &changes.heard)?;
            rollup::store::update(&transaction, ids, device, &changes)?;
            daily::store::update(&transaction, &self.timezone, device, &changes)?;
        }
        Ok(transaction.commit()?)
    }
}

fn insert(
    transaction: &Transaction<'_>,
    ids: &mut Ids,
    recorders: &mut HashMap<u32, Recorder>,
    batch: &[Arc<Reading>],
) -> Result<BTreeMap<i64, BatchChanges>, StoreError> {
    let mut all: BTreeMap<i64, BatchChanges> = BTreeMap::new();
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
        let changes = all.entry(device).or_insert_with(|| BatchChanges::of(reading.serial));
        if added {
            changes.add(reading, micros);
        }
        if let Some(energy) = counter(reading) {
            let recorder = recorders.entry(reading.serial).or_default();
            for accepted in recorder.offer(CounterPoint { time, energy }) {
                let micros = accepted.time.as_microsecond();
                if point.execute((device, micros, accepted.energy.0))? > 0 {
                    changes.points.push(micros);
                }
            }
        }
    }
    Ok(all)
}

fn counter(reading: &Reading) -> Option<WattHours> {
    let counts = COUNTER_PACKETS.contains(&reading.packet()) && !reading.experimental();
    let value = counts.then(|| reading.get(DIVERTED_KWH_KEY)).flatten()?;
    Some(WattHours::from_kwh(value.as_f64()))
}
