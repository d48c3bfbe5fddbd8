//! What the history costs: a day replayed, the same day again, and a day live (a commit each 5 s).
//!
//! `cargo run --release -p energi-sinks --example sqlite_speed`

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use support::readings;

use energi_decoders::Reading;
use energi_sinks::settings::Period;
use energi_sinks::sqlite::SqliteConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, SinkConfig};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

type Failure = Box<dyn std::error::Error>;

/// CPU time of the whole process so far, which Linux counts in hundredths of a second.
fn cpu() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().ok_or("no figures in /proc/self/stat")?;
    let ticks: Vec<u64> =
        after.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

async fn store(path: &Path, readings: &[Arc<Reading>], batch: usize) -> Result<(), Failure> {
    let config = SqliteConfig {
        path: path.into(),
        flush_interval: Period::from_secs(5),
        ..SqliteConfig::default()
    };
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
    let mut sink = config.open(&context).await?;
    for batch in readings.chunks(batch) {
        sink.write(batch).await?;
    }
    sink.close().await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("energi.db");
    let day = readings::Device::default()
        .life("2026-06-20T00:00:00Z".parse()?, SignedDuration::from_hours(24));
    println!("{} readings", day.len());
    for what in ["a day replayed", "the same day again"] {
        let (begun, before) = (Instant::now(), cpu()?);
        store(&path, &day, 5_000).await?;
        let (took, used) = (begun.elapsed().as_secs_f64(), cpu()? - before);
        println!("{what}: {took:.3} s, {used:.2} s of CPU");
    }
    println!("file: {:.1} MB", std::fs::metadata(&path)?.len() as f64 / 1e6);
    let week = readings::Device::default()
        .life("2026-06-21T00:00:00Z".parse()?, SignedDuration::from_hours(7 * 24));
    let begun = Instant::now();
    store(&path, &week, 5_000).await?;
    println!("a week more: {:.3} s a day", begun.elapsed().as_secs_f64() / 7.0);
    let live = readings::Device::default()
        .life("2026-06-28T00:00:00Z".parse()?, SignedDuration::from_hours(24));
    let (begun, before) = (Instant::now(), cpu()?);
    store(&path, &live, 3).await?;
    let used = cpu()? - before;
    println!(
        "a day live, {} commits: {:.1} s of CPU, {:.1} s in all: {:.4} % of a core",
        live.len().div_ceil(3),
        used,
        begun.elapsed().as_secs_f64(),
        used / 864.0
    );
    Ok(())
}
