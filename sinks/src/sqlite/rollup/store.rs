//! Recomputes what follows from samples, for the stretches that a batch touched.
//!
//! A row is replaced only by one that rests on at least as many readings: where samples have been
//! pruned, a part of them replayed cannot undo what the whole said. Captures that follow one another
//! can meet inside a quarter-hour when the earlier one's samples have been pruned: their parts are
//! kept side by side, and no energy is lost. A minute has no parts: where such captures meet, it
//! is the mean of the one with more of it.

use std::fmt::Write;
use std::sync::LazyLock;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::changes::BatchChanges;
use super::super::ids::Ids;
use super::super::values;
use super::compute::{self, MINUTE, MinuteSums, Part, QUARTER, QuarterEnergy, Sample};
use super::coverage::{HOLD, Interval, union};
use super::metrics::SLOTS;
use crate::database::StoreError;

/// Adds the times when a device was received.
pub(in crate::sqlite) fn cover(
    connection: &Connection,
    device: i64,
    heard: &[Interval],
) -> Result<(), StoreError> {
    let mut near = connection.prepare_cached(
        "SELECT start, end FROM coverage WHERE device = ?1 AND start <= ?3 AND start >= coalesce(
             (SELECT max(start) FROM coverage WHERE device = ?1 AND start <= ?2), ?2)",
    )?;
    let mut delete =
        connection.prepare_cached("DELETE FROM coverage WHERE device = ?1 AND start = ?2")?;
    let mut insert = connection
        .prepare_cached("INSERT INTO coverage (device, start, end) VALUES (?1, ?2, ?3)")?;
    for interval in heard {
        let known: Vec<Interval> = near
            .query_map((device, interval.start - HOLD, interval.end + HOLD), |row| {
                Ok(Interval { start: row.get(0)?, end: row.get(1)? })
            })?
            .collect::<Result<_, _>>()?;
        let mut all = known.clone();
        all.push(*interval);
        let all = union(all);
        for old in known.iter().filter(|old| !all.contains(old)) {
            delete.execute((device, old.start))?;
        }
        for new in all.iter().filter(|new| !known.contains(new)) {
            insert.execute((device, new.start, new.end))?;
        }
    }
    Ok(())
}

/// Recomputes the minutes and quarters that changed.
pub(in crate::sqlite) fn update(
    connection: &Connection,
    ids: &mut Ids,
    device: i64,
    changes: &BatchChanges,
) -> Result<(), StoreError> {
    for segment in segments(changes) {
        let samples = read(connection, ids, device, segment)?;
        for start in changes.minutes.range(segment.start..segment.end) {
            let sums = compute::minute(compute::between(&samples, *start, start + MINUTE));
            write_minute(connection, ids, device, *start, &sums)?;
        }
        for start in changes.quarters.range(segment.start..segment.end) {
            let reach = compute::reach(*start);
            let samples = compute::between(&samples, reach.start, reach.end);
            write_quarter(connection, device, *start, samples)?;
        }
    }
    Ok(())
}

/// The times whose samples are needed, as few stretches as hold them. No minute and no quarter
/// lies in two of them.
fn segments(changes: &BatchChanges) -> Vec<Interval> {
    let minutes =
        changes.minutes.iter().map(|start| Interval { start: *start, end: start + MINUTE });
    let quarters = changes.quarters.iter().map(|start| {
        let reach = compute::reach(*start);
        Interval { start: reach.start, end: reach.end }
    });
    union(minutes.chain(quarters).collect())
}

fn read(
    connection: &Connection,
    ids: &Ids,
    device: i64,
    segment: Interval,
) -> Result<Vec<Sample>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT time, us, shape, vals FROM reading
         WHERE device = ?1 AND time >= ?2 AND time < ?3 ORDER BY time, us, shape, vals",
    )?;
    // Stretches begin and end on whole seconds.
    let mut rows = select.query((device, segment.start / 1000, segment.end / 1000))?;
    let mut samples = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(shape) = ids.shape_of(row.get(2)?).filter(|shape| shape.is_confirmed()) else {
            continue;
        };
        let (ms, us): (i64, i64) = (row.get(0)?, row.get(1)?);
        let text = row.get_ref(3)?.as_str().map_err(|error| damaged(&error))?;
        let values = values::read(text).map_err(|error| damaged(&error))?;
        samples.push(shape.sample(ms * 1000 + us, &values));
    }
    Ok(samples)
}

fn damaged(error: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged(format!("values of a reading: {error}"))
}

static WRITE_MINUTE: LazyLock<String> = LazyLock::new(|| {
    let mut columns = String::new();
    let mut update = String::new();
    for slot in 0..SLOTS {
        let _infallible = write!(columns, ", s{slot}");
        let _infallible = write!(update, ", s{slot} = excluded.s{slot}");
    }
    let holes = ", ?".repeat(SLOTS);
    format!(
        "INSERT INTO minute_sum (device, time, tally{columns}) VALUES (?, ?, ?{holes})
         ON CONFLICT DO UPDATE SET tally = excluded.tally{update}
         WHERE (SELECT total FROM tally WHERE id = excluded.tally)
             >= (SELECT total FROM tally WHERE id = minute_sum.tally)"
    )
});

fn write_minute(
    connection: &Connection,
    ids: &mut Ids,
    device: i64,
    start: i64,
    sums: &MinuteSums,
) -> Result<(), StoreError> {
    let tally = ids.tally(connection, &sums.count)?;
    let columns = sums.sum.iter().zip(sums.count);
    let columns =
        columns.map(|(sum, count)| if count > 0 { Value::Integer(*sum) } else { Value::Null });
    let row = [device, start / 1000, tally].map(Value::Integer).into_iter().chain(columns);
    connection.prepare_cached(&WRITE_MINUTE)?.execute(params_from_iter(row))?;
    Ok(())
}

/// Replaces the parts of the quarter that the samples overlap, where these say no less than they.
fn write_quarter(
    connection: &Connection,
    device: i64,
    start: i64,
    samples: &[Sample],
) -> Result<(), StoreError> {
    let Some(mut new) = compute::quarter(start, samples) else { return Ok(()) };
    let parts = read_parts(connection, device, start / QUARTER)?;
    let (replaced, others): (Vec<Part>, Vec<Part>) =
        parts.iter().partition(|part| part.overlaps(&new));
    let readings: u64 = replaced.iter().map(|part| part.energy.readings()).sum();
    let segment = replaced.iter().map(|part| part.last - part.first).sum::<i64>();
    if (new.energy.readings(), new.last - new.first) < (readings, segment) {
        return Ok(());
    }
    if let Some(next) = others.iter().find(|part| part.first > new.last) {
        new.end_hold(i64::MAX, next.first);
    }
    let before = others.iter().rfind(|part| part.last < new.first).map(|before| {
        let held_until = parts.iter().find(|part| part.first > before.last);
        let mut before = *before;
        before.end_hold(held_until.map_or(i64::MAX, |part| part.first), new.first);
        before
    });
    let mut delete = connection.prepare_cached(
        "DELETE FROM energy_quarter WHERE device = ?1 AND quarter = ?2 AND first = ?3",
    )?;
    for part in replaced.iter().filter(|part| part.first != new.first) {
        delete.execute((device, start / QUARTER, part.first))?;
    }
    for part in [Some(new), before].into_iter().flatten().filter(|part| !parts.contains(part)) {
        write_part(connection, device, start / QUARTER, &part)?;
    }
    Ok(())
}

/// The parts that a quarter has, oldest first.
fn read_parts(connection: &Connection, device: i64, quarter: i64) -> Result<Vec<Part>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT first, last, import, export, generation, grid_readings, generation_readings,
             last_grid, last_generation
         FROM energy_quarter WHERE device = ?1 AND quarter = ?2 ORDER BY first",
    )?;
    let parts = select.query_map((device, quarter), |row| {
        Ok(Part {
            first: row.get(0)?,
            last: row.get(1)?,
            energy: QuarterEnergy {
                import: row.get(2)?,
                export: row.get(3)?,
                generation: row.get(4)?,
                grid_readings: row.get(5)?,
                generation_readings: row.get(6)?,
            },
            last_powers: [row.get(7)?, row.get(8)?],
        })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}

fn write_part(
    connection: &Connection,
    device: i64,
    quarter: i64,
    part: &Part,
) -> Result<(), StoreError> {
    let Part { first, last, energy, last_powers } = part;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO energy_quarter (device, quarter, first, last, import, export,
                 generation, grid_readings, generation_readings, last_grid, last_generation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            device,
            quarter,
            first,
            last,
            energy.import,
            energy.export,
            energy.generation,
            energy.grid_readings,
            energy.generation_readings,
            last_powers[0],
            last_powers[1],
        ))?;
    Ok(())
}
