//! Cost of the influxdb sink's queue: memory, speed, and the price of normal times.
//!
//! ```text
//! cargo run --release --example influxdb_queue -- http://127.0.0.1:8428
//! ```
//!
//! A simulated week of one device is queued while the server is away, then delivered to the server
//! that is named (a `VictoriaMetrics`, say); then a day goes straight there.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use energi_decoders::Reading;
use energi_sinks::influxdb::{InfluxdbConfig, ProxyConfig};
use energi_sinks::settings::{Period, QueueConfig, Size};
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig};
use jiff::{SignedDuration, Timestamp};

use support::readings::Device;

const DAYS: i64 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).ok_or("name a server, such as http://127.0.0.1:8428")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&server))
}

async fn measure(server: &str) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let config = |url: &str| InfluxdbConfig {
        url: url.to_owned(),
        org: "home".to_owned(),
        bucket: "energy".to_owned(),
        token: None,
        token_file: None,
        username: None,
        password: None,
        password_file: None,
        ca_file: None,
        proxy: ProxyConfig::default(),
        gzip: true,
        batch_size: 500,
        flush_interval: Period::from_secs(10),
        timeout: Period::from_secs(10),
        queue: QueueConfig {
            path: directory.path().join("influxdb.queue.db"),
            max_bytes: Size::from_mib(256),
        },
    };
    // Nobody listens on port 1.
    let mut sink = config("http://127.0.0.1:1").open(&context(Backpressure::DropOldest)).await?;
    let mut peak = Peak::default();
    let (points, took) = write(&mut *sink, DAYS, &mut peak).await?;
    sink.close().await?;
    drop(sink);
    let file = std::fs::metadata(directory.path().join("influxdb.queue.db"))?.len();
    println!(
        "queued: {points} points of {DAYS} days, {} points/s, {:.1} MiB on disk ({} B a point)",
        per_second(points, took),
        file as f64 / f64::from(1 << 20),
        file / points as u64
    );

    let mut sink = config(server).open(&context(Backpressure::Wait)).await?;
    let begun = Instant::now();
    while sink.queue_stats().waiting > 0 {
        peak.look();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("delivered: {} points/s", per_second(points, begun.elapsed()));

    let (points, took) = write(&mut *sink, 1, &mut peak).await?;
    sink.close().await?;
    println!("straight: {} points/s", per_second(points, took));
    println!("resident: {} kB at most", peak.0);
    Ok(())
}

/// Writes days of readings, made hour by hour, and counts only the time that the sink takes.
async fn write(
    sink: &mut dyn Sink,
    days: i64,
    peak: &mut Peak,
) -> Result<(usize, Duration), Box<dyn Error>> {
    let (mut points, mut took) = (0, Duration::ZERO);
    let start: Timestamp = "2026-06-01T00:00:00Z".parse()?;
    for hour in 0..days * 24 {
        let from = start + SignedDuration::from_hours(hour);
        let readings: Vec<Arc<Reading>> =
            Device::default().life(from, SignedDuration::from_hours(1));
        for batch in readings.chunks(500) {
            let begun = Instant::now();
            sink.write(batch).await?;
            took += begun.elapsed();
            peak.look();
        }
        points += readings.len();
    }
    Ok((points, took))
}

fn context(backpressure: Backpressure) -> Context {
    Context {
        name: "influxdb".to_owned(),
        site: Some("home".to_owned()),
        timezone: jiff::tz::TimeZone::UTC,
        device_names: Arc::new(BTreeMap::new()),
        only_devices: None,
        layouts: Vec::new().into(),
        live: false,
        backpressure,
        tariff: None,
        status: StatusHandle::default(),
    }
}

fn per_second(points: usize, took: Duration) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
    let speed = (points as f64 / took.as_secs_f64()) as u64;
    speed
}

/// The most memory that was resident, in kB.
#[derive(Default)]
struct Peak(u64);

impl Peak {
    fn look(&mut self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.0 = self.0.max(resident.unwrap_or_default());
    }
}
