//! Size of ten years of one device, and time of a daily report then.
//!
//! A month of a household goes through the sink as it is; the years before it are made from that
//! month, with other numbers of the same size: minutes, quarter-hours, points of the counter and
//! days, which stay forever.
//!
//! `cargo run --release -p energi-sinks --example sqlite_ten_years [FILE]`

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use support::readings;

use energi_sinks::sqlite::{SqliteConfig, open_for_reading};
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, SinkConfig};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

const MONTH: i64 = 30;
const MONTHS: i64 = 3652 / MONTH;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| directory.path().join("energi.db"), PathBuf::from);
    let start: Timestamp = "2026-06-01T00:00:00Z".parse()?;
    let config = SqliteConfig { path: path.clone(), ..SqliteConfig::default() };
    let context = Context {
        name: "sqlite".to_owned(),
        site: None,
        timezone: TimeZone::get("Europe/London")?,
        device_names: Arc::new(BTreeMap::new()),
        only_devices: None,
        layouts: Arc::default(),
        live: false,
        backpressure: Backpressure::Wait,
        tariff: None,
        status: StatusHandle::default(),
    };

    years_before(&config, &context, start).await?;
    let mut sink = config.open(&context).await?;
    for day in 0..MONTH {
        let start = start + SignedDuration::from_hours(24 * day);
        for batch in life(start).chunks(5_000) {
            sink.write(batch).await?;
        }
    }
    sink.close().await?;

    let database = open_for_reading(&path)?;
    let count = |what: &str| -> Result<i64, Failure> {
        Ok(database.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))?)
    };
    for what in ["reading", "minute_sum", "energy_quarter", "energy_point", "daily_energy"] {
        println!("{what}: {} rows", count(what)?);
    }
    let sizes = database
        .prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 4")
        .and_then(|mut sizes| {
            sizes
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<Vec<(String, i64, i64)>, _>>()
        });
    for (name, size, unused) in sizes.unwrap_or_default() {
        println!("{name}: {:.1} MB, {:.1} unused", size as f64 / 1e6, unused as f64 / 1e6);
    }
    println!("file: {:.1} MB", std::fs::metadata(&path)?.len() as f64 / 1e6);
    timed(&path, "all days", "SELECT * FROM daily_energy WHERE serial = 17589669 ORDER BY date")?;
    timed(
        &path,
        "a day of minutes of one metric",
        "SELECT time, mean FROM minute WHERE serial = 17589669 AND key = 'grid_pwr'
             AND time BETWEEN 1655000000000 AND 1655086400000 ORDER BY time",
    )?;
    timed(
        &path,
        "a day of samples of one metric",
        "SELECT time, value FROM sample WHERE serial = 17589669 AND key = 'grid_pwr'
             AND time BETWEEN 1781568000000 AND 1781654400000 ORDER BY time",
    )
}

fn life(start: Timestamp) -> Vec<Arc<energi_decoders::Reading>> {
    readings::Device::default().life(start, SignedDuration::from_hours(24))
}

/// A query on a connection of its own: its time holds what opening the file costs.
fn timed(path: &std::path::Path, what: &str, query: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    let database = open_for_reading(path)?;
    let rows = database.prepare(query)?.query_map([], |_| Ok(()))?.count();
    println!("{what}: {rows} rows in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

async fn years_before(
    config: &SqliteConfig,
    context: &Context,
    start: Timestamp,
) -> Result<(), Failure> {
    // A month of its own to copy from, so that this one's rows come in the order of time.
    let pattern = tempfile::tempdir()?;
    let pattern = pattern.path().join("pattern.db");
    let source = SqliteConfig { path: pattern.clone(), ..SqliteConfig::default() };
    let mut sink = source.open(context).await?;
    let first = start - SignedDuration::from_hours(24 * MONTH);
    for day in 0..MONTH {
        for batch in life(first + SignedDuration::from_hours(24 * day)).chunks(5_000) {
            sink.write(batch).await?;
        }
    }
    sink.close().await?;
    config.open(context).await?.close().await?;
    let database = Connection::open(&config.path)?;
    database.execute("ATTACH ?1 AS pattern", [pattern.to_string_lossy()])?;
    let sums = (0..12)
        .map(|slot| {
            format!("CASE WHEN s{slot} > 30 THEN abs(s{slot} + random() % 30) ELSE s{slot} END")
        })
        .collect::<Vec<_>>()
        .join(", ");
    database.execute_batch(
        "INSERT INTO device SELECT * FROM pattern.device;
         INSERT INTO shape SELECT * FROM pattern.shape;
         INSERT INTO field SELECT * FROM pattern.field;
         INSERT INTO tally SELECT * FROM pattern.tally;",
    )?;
    for month in (1..MONTHS).rev() {
        let days = (month - 1) * MONTH;
        database.execute_batch(&format!(
            "BEGIN;
             INSERT INTO minute_sum SELECT device, time - {days} * 86400000, tally, {sums}
                 FROM pattern.minute_sum ORDER BY device, time;
             INSERT OR IGNORE INTO energy_quarter SELECT device, quarter - {days} * 96, first, last,
                 import + random() % 100, export, generation, grid_readings, generation_readings,
                 last_grid, last_generation FROM pattern.energy_quarter ORDER BY device, quarter;
             INSERT INTO energy_point SELECT device, time - {days} * 86400000000, energy
                 FROM pattern.energy_point ORDER BY device, time;
             INSERT OR IGNORE INTO daily_energy SELECT serial, date(date, '-{days} days'), diverted_kwh,
                 import_kwh, export_kwh, generation_kwh, complete
                 FROM pattern.daily_energy ORDER BY serial, date;
             COMMIT;"
        ))?;
    }
    Ok(())
}
