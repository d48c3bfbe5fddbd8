//! Recomputes `daily_energy` for the dates that a batch touched.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use energi_decoders::counter::{CounterPoint, WattHours};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use super::super::changes::{BatchChanges, timestamp};
use super::super::rollup::compute::QUARTER;
use super::super::rollup::coverage::{HOLD, Interval, covered, unbroken};
use super::DivertedDay;
use crate::database::StoreError;
use crate::energy::midnights;

/// Readings further apart than this touch dates of their own; one date in between more or less
/// does no harm, since a day is a pure function of what is stored.
const APART: i64 = 24 * 3600 * 1_000_000;

/// Recomputes the dates whose energy or completeness `changes` can change.
pub(in crate::sqlite) fn update(
    connection: &Connection,
    tz: &TimeZone,
    device: i64,
    changes: &BatchChanges,
) -> Result<(), StoreError> {
    for span in spans(changes) {
        let touched: BTreeSet<Date> = [span.start, span.end]
            .into_iter()
            .flat_map(|time| super::touched(timestamp(time), tz))
            .collect();
        let (Some(first), Some(last)) = (touched.first(), touched.last()) else { continue };
        recompute(connection, tz, device, changes.serial, *first..=*last)?;
        // However long the gap is: with frames on both its sides, the borders in it are open.
        for time in neighbours(connection, device, span)?.into_iter().flatten() {
            let date = timestamp(time).to_zoned(tz.clone()).date();
            if !(*first..=*last).contains(&date) {
                recompute(connection, tz, device, changes.serial, date..=date)?;
            }
        }
    }
    Ok(())
}

/// The last frame before `span` and the first after it, each where a gap lies between.
fn neighbours(
    connection: &Connection,
    device: i64,
    span: Interval,
) -> Result<[Option<i64>; 2], StoreError> {
    let before = last_heard(connection, device, span.start - 1)?;
    let after = first_heard(connection, device, span.end + 1)?;
    Ok([
        before.filter(|before| span.start - before > HOLD),
        after.filter(|after| after - span.end > HOLD),
    ])
}

/// The last time up to `time` at which the device was received.
fn last_heard(connection: &Connection, device: i64, time: i64) -> Result<Option<i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT min(end, ?2) FROM coverage WHERE device = ?1 AND start <= ?2
         ORDER BY start DESC LIMIT 1",
    )?;
    Ok(select.query_row((device, time), |row| row.get(0)).optional()?)
}

/// The first time from `time` on at which the device was received.
fn first_heard(connection: &Connection, device: i64, time: i64) -> Result<Option<i64>, StoreError> {
    if last_heard(connection, device, time)? == Some(time) {
        return Ok(Some(time));
    }
    let mut select = connection.prepare_cached(
        "SELECT start FROM coverage WHERE device = ?1 AND start > ?2 ORDER BY start LIMIT 1",
    )?;
    Ok(select.query_row((device, time), |row| row.get(0)).optional()?)
}

/// Recomputes every date, since days begin elsewhere now. What they are made from stays forever.
pub(in crate::sqlite) fn rebuild(connection: &Connection, tz: &TimeZone) -> Result<(), StoreError> {
    connection.execute("DELETE FROM daily_energy", [])?;
    let mut devices = connection.prepare(
        "SELECT id, serial, min(start), max(end) FROM device JOIN coverage ON device = id
         GROUP BY id",
    )?;
    let mut rows = devices.query([])?;
    while let Some(row) = rows.next()? {
        let (device, serial) = (row.get(0)?, row.get(1)?);
        let date = |micros| timestamp(micros).to_zoned(tz.clone()).date();
        let (mut from, last) = (date(row.get(2)?), date(row.get(3)?));
        while from <= last {
            // A month at a time, so that ten years need no more memory than one.
            let until = from.saturating_add(jiff::Span::new().days(30)).min(last);
            recompute(connection, tz, device, serial, from..=until)?;
            let Ok(next) = until.tomorrow() else { break };
            from = next;
        }
    }
    Ok(())
}

/// Recomputes those of `dates` on which the device was received.
fn recompute(
    connection: &Connection,
    tz: &TimeZone,
    device: i64,
    serial: u32,
    dates: RangeInclusive<Date>,
) -> Result<(), StoreError> {
    let mut heard = Vec::new();
    let all = dates.start().series(jiff::Span::new().days(1));
    for date in all.take_while(|date| date <= dates.end()) {
        if is_heard(connection, tz, device, date)? {
            heard.push(date);
        }
    }
    let (Some(first), Some(last)) = (heard.first(), heard.last()) else { return Ok(()) };
    let window = super::window(*first, tz).start..super::window(*last, tz).end;
    let points = read_points(connection, device, window)?;
    for date in heard {
        let window = super::window(date, tz);
        let first = points.partition_point(|point| point.time < window.start);
        let past = points.partition_point(|point| point.time < window.end);
        let day = super::day(date, tz, points.get(first..past).unwrap_or_default());
        write(connection, tz, device, serial, date, &day)?;
    }
    Ok(())
}

fn spans(changes: &BatchChanges) -> Vec<Interval> {
    let mut all: Vec<_> = changes
        .points
        .iter()
        .map(|time| Interval::at(*time))
        .chain(changes.heard.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup_by(|next, last| {
        let near = next.start - last.end <= APART;
        if near {
            last.end = last.end.max(next.end);
        }
        near
    });
    all
}

fn micros(times: [Timestamp; 2]) -> [i64; 2] {
    times.map(Timestamp::as_microsecond)
}

/// Returns whether the device sent a frame on `date`. A date without one has no row.
fn is_heard(
    connection: &Connection,
    tz: &TimeZone,
    device: i64,
    date: Date,
) -> Result<bool, StoreError> {
    let [begin, end] = micros(midnights(date, tz));
    Ok(last_heard(connection, device, end - 1)?.is_some_and(|last| last >= begin))
}

fn read_points(
    connection: &Connection,
    device: i64,
    window: std::ops::Range<Timestamp>,
) -> Result<Vec<CounterPoint>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT time, energy FROM energy_point WHERE device = ?1 AND time >= ?2 AND time < ?3
         ORDER BY time",
    )?;
    let [start, end] = micros([window.start, window.end]);
    let points = select.query_map((device, start, end), |row| {
        Ok(CounterPoint { time: timestamp(row.get(0)?), energy: WattHours(row.get(1)?) })
    })?;
    Ok(points.collect::<Result<_, _>>()?)
}

fn write(
    connection: &Connection,
    tz: &TimeZone,
    device: i64,
    serial: u32,
    date: Date,
    day: &DivertedDay,
) -> Result<(), StoreError> {
    let [begin, end] = micros(midnights(date, tz));
    let flows = connection
        .prepare_cached(
            "SELECT CASE WHEN sum(grid_readings) > 0 THEN sum(import) / 1e6 END,
                 CASE WHEN sum(grid_readings) > 0 THEN sum(export) / 1e6 END,
                 CASE WHEN sum(generation_readings) > 0 THEN sum(generation) / 1e6 END
             FROM energy_quarter WHERE device = ?1 AND quarter >= ?2 AND quarter < ?3",
        )?
        .query_row((device, begin / QUARTER, end / QUARTER), |row| {
            Ok::<[Option<f64>; 3], _>([row.get(0)?, row.get(1)?, row.get(2)?])
        })?;
    let complete = is_complete(connection, device, [begin, end], day)?;
    connection
        .prepare_cached(
            "INSERT INTO daily_energy (serial, date, diverted_kwh, import_kwh, export_kwh,
                 generation_kwh, complete) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET diverted_kwh = excluded.diverted_kwh,
                 import_kwh = excluded.import_kwh, export_kwh = excluded.export_kwh,
                 generation_kwh = excluded.generation_kwh, complete = excluded.complete
             WHERE (diverted_kwh, import_kwh, export_kwh, generation_kwh, complete) IS NOT
                 (excluded.diverted_kwh, excluded.import_kwh, excluded.export_kwh,
                     excluded.generation_kwh, excluded.complete)",
        )?
        .execute((
            serial,
            date.to_string(),
            day.diverted.map(WattHours::kwh),
            flows[0],
            flows[1],
            flows[2],
            complete,
        ))?;
    Ok(())
}

/// Returns whether the device was received for 99 % of the date, and wherever energy can have been
/// lost: at its borders, and where it started again in between.
fn is_complete(
    connection: &Connection,
    device: i64,
    midnights: [i64; 2],
    day: &DivertedDay,
) -> Result<bool, StoreError> {
    // Where no point is on one side of a border, the nearest frame stands for it; and where there
    // is none at all, frames have to reach up to midnight.
    let stretch = |side: usize| {
        let (border, midnight) = (&day.borders[side], midnights[side]);
        let after = match border.after {
            Some(after) => Some(after.as_microsecond()),
            None => last_heard(connection, device, midnight)?,
        };
        let until = match border.until {
            Some(until) => Some(until.as_microsecond()),
            None => first_heard(connection, device, midnight)?,
        };
        Ok::<_, StoreError>((after.unwrap_or(midnight + HOLD), until.unwrap_or(midnight - HOLD)))
    };
    let needed = [stretch(0)?, stretch(1)?];
    let start = needed[0].0.min(midnights[0]);
    let end = needed[1].1.max(midnights[1]);
    let mut select = connection.prepare_cached(
        "SELECT start, end FROM coverage WHERE device = ?1 AND start <= ?3 AND start >= coalesce(
             (SELECT max(start) FROM coverage WHERE device = ?1 AND start <= ?2), ?2)",
    )?;
    let heard: Vec<Interval> = select
        .query_map((device, start, end), |row| {
            Ok(Interval { start: row.get(0)?, end: row.get(1)? })
        })?
        .collect::<Result<_, _>>()?;
    let [begin, end] = midnights;
    let enough = covered(&heard, begin, end) * 100 >= (end - begin) * 99;
    let is_heard = |side: usize| {
        let (after, until) = needed[side];
        unbroken(&heard, after, until, HOLD)
    };
    let restarts_heard = day.restarts.iter().all(|restart| {
        let [after, until] = micros(*restart);
        unbroken(&heard, after, until, HOLD)
    });
    Ok(enough && restarts_heard && (day.borders[0].fresh || is_heard(0)) && is_heard(1))
}
