//! Readings that are stored and not rolled up yet.
//!
//! Minutes, quarter-hours, coverage and days follow from every reading. Written with each commit,
//! their pages would wear an SD card out and cost more than the readings themselves, so they are
//! brought up to date once a minute. The quarter-hours that wait for it are marked in a table, so
//! that a start after a kill finds them. The quarter-hour in progress stays marked, since the next
//! reading would mark it again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::changes::BatchChanges;
use super::daily;
use super::ids::{Ids, Shape};
use super::rollup::compute::{QUARTER, reach};
use super::rollup::{self, coverage::union};
use crate::database::StoreError;

/// Readings that wait for the rollup.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Changes by the device's number in the database.
    devices: BTreeMap<i64, BatchChanges>,
    /// The quarter-hours that are marked, with their device.
    marked: BTreeSet<(i64, i64)>,
    readings: usize,
}

impl Pending {
    /// Reads what an earlier run left.
    pub(super) fn load(connection: &Connection, ids: &Ids) -> Result<Self, StoreError> {
        let mut pending = Self::default();
        let mut marked = connection.prepare(
            "SELECT p.device, d.serial, p.quarter FROM pending p JOIN device d ON d.id = p.device",
        )?;
        let mut readings = connection.prepare(
            "SELECT time, us, shape FROM reading WHERE device = ?1 AND time >= ?2 AND time < ?3",
        )?;
        let mut points = connection.prepare(
            "SELECT time FROM energy_point WHERE device = ?1 AND time >= ?2 AND time < ?3",
        )?;
        let mut rows = marked.query([])?;
        while let Some(row) = rows.next()? {
            let (device, serial, quarter): (i64, u32, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let (start, end) = (quarter * QUARTER, (quarter + 1) * QUARTER);
            pending.marked.insert((device, quarter));
            let changes = pending.device(device, serial);
            let mut rows = readings.query((device, start / 1000, end / 1000))?;
            while let Some(row) = rows.next()? {
                let (ms, us): (i64, i64) = (row.get(0)?, row.get(1)?);
                let shape = ids.shape_of(row.get(2)?);
                let is_confirmed = shape.is_some_and(Shape::is_confirmed);
                let has_power = shape.is_some_and(Shape::has_power);
                changes.add(ms * 1000 + us, is_confirmed, has_power);
            }
            let times = points.query_map((device, start, end), |row| row.get(0))?;
            changes.points.extend(times.collect::<Result<Vec<i64>, _>>()?);
        }
        Ok(pending)
    }

    /// The changes of a device.
    pub(super) fn device(&mut self, device: i64, serial: u32) -> &mut BatchChanges {
        self.devices.entry(device).or_insert_with(|| BatchChanges::of(serial))
    }

    /// Marks the quarter-hour of `time` as waiting.
    pub(super) fn mark(
        &mut self,
        connection: &Connection,
        device: i64,
        time: i64,
    ) -> Result<(), StoreError> {
        let quarter = time.div_euclid(QUARTER);
        if self.marked.insert((device, quarter)) {
            connection
                .prepare_cached("INSERT OR IGNORE INTO pending (device, quarter) VALUES (?1, ?2)")?
                .execute((device, quarter))?;
        }
        Ok(())
    }

    /// Counts a reading that was stored.
    pub(super) fn count(&mut self) {
        self.readings += 1;
    }

    /// Returns how many readings each device has waiting, on average.
    pub(super) fn readings_each(&self) -> usize {
        self.readings / self.devices.len().max(1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.marked.is_empty()
    }

    /// The first of the times whose samples are still needed, in microseconds.
    pub(super) fn needed_from(&self) -> Option<i64> {
        let oldest = self.marked.iter().map(|(_, quarter)| *quarter).min()?;
        Some(reach(oldest * QUARTER).start)
    }

    /// Rolls up all that waits. The newest quarter-hour stays marked.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        ids: &mut Ids,
        timezone: &TimeZone,
    ) -> Result<(), StoreError> {
        self.roll_up(connection, ids, timezone)?;
        let newest = self.marked.iter().map(|(_, quarter)| *quarter).max().unwrap_or(i64::MIN);
        self.marked.retain(|(_, quarter)| *quarter == newest);
        connection.prepare_cached("DELETE FROM pending WHERE quarter <> ?1")?.execute([newest])?;
        Ok(())
    }

    /// Rolls up all that waits, and leaves no mark.
    pub(super) fn finish(
        &mut self,
        connection: &Connection,
        ids: &mut Ids,
        timezone: &TimeZone,
    ) -> Result<(), StoreError> {
        self.roll_up(connection, ids, timezone)?;
        self.marked.clear();
        connection.execute("DELETE FROM pending", [])?;
        Ok(())
    }

    fn roll_up(
        &mut self,
        connection: &Connection,
        ids: &mut Ids,
        timezone: &TimeZone,
    ) -> Result<(), StoreError> {
        self.readings = 0;
        for (device, mut changes) in std::mem::take(&mut self.devices) {
            changes.heard = union(changes.heard);
            rollup::store::cover(connection, device, &changes.heard)?;
            rollup::store::update(connection, ids, device, &changes)?;
            daily::store::update(connection, timezone, device, &changes)?;
        }
        Ok(())
    }
}
