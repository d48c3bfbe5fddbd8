//! Cost of the history: a day replayed, the same day again, many devices, and a day live with a
//! commit each 5 s and each minute, with the bytes that it writes. The directory of temporary files
//! (`TMPDIR`) has to be on a disk.
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
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

type Failure = Box<dyn std::error::Error>;

/// CPU time of the whole process so far, which Linux counts in hundredths of a second.
fn cpu() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().ok_or("no figures in /proc/self/stat")?;
    let ticks: Vec<u64> =
        after.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

/// Bytes that the process has sent to the disk so far.
fn written() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(bytes.ok_or("no figures in /proc/self/io")?.parse()?)
}

async fn store(
    path: &Path,
    readings: &[Arc<Reading>],
    batch: usize,
    backpressure: Backpressure,
) -> Result<(), Failure> {
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
        backpressure,
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
        store(&path, &day, 5_000, Backpressure::Wait).await?;
        let (took, used) = (begun.elapsed().as_secs_f64(), cpu()? - before);
        println!("{what}: {took:.3} s, {used:.2} s of CPU");
    }
    println!("file: {:.1} MB", std::fs::metadata(&path)?.len() as f64 / 1e6);
    let week = readings::Device::default()
        .life("2026-06-21T00:00:00Z".parse()?, SignedDuration::from_hours(7 * 24));
    let begun = Instant::now();
    store(&path, &week, 5_000, Backpressure::Wait).await?;
    println!("a week more: {:.3} s a day", begun.elapsed().as_secs_f64() / 7.0);
    let mut alone = 0.0;
    for devices in [1, 10, 100] {
        let length = SignedDuration::from_hours(240) / devices;
        let mut all: Vec<_> = (0..devices)
            .flat_map(|device| {
                let device = readings::Device::new(10_000_001 + device.unsigned_abs());
                device.life(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24), length)
            })
            .collect();
        all.sort_by_key(|reading| reading.time);
        let path = directory.path().join(format!("{devices}.db"));
        let before = cpu()?;
        store(&path, &all, 5_000, Backpressure::Wait).await?;
        let each = (cpu()? - before) * 1e6 / all.len() as f64;
        alone = if devices == 1 { each } else { alone };
        println!("{devices} devices: {each:.2} us of CPU a reading, {:.2} times one", each / alone);
    }
    for batch in [3, 38] {
        let live = readings::Device::default()
            .life("2026-06-28T00:00:00Z".parse()?, SignedDuration::from_hours(24));
        let path = directory.path().join(format!("live-{batch}.db"));
        let (begun, before, bytes) = (Instant::now(), cpu()?, written()?);
        store(&path, &live, batch, Backpressure::DropOldest).await?;
        let used = cpu()? - before;
        println!(
            "a day live, {} commits: {used:.1} s of CPU, {:.1} s in all: {:.4} % of a core, \
             {:.0} MB written",
            live.len().div_ceil(batch),
            begun.elapsed().as_secs_f64(),
            used / 864.0,
            (written()? - bytes) as f64 / 1e6,
        );
    }
    Ok(())
}
