//! Cost of encoding an hour of one device in each sink: a line of JSON, MQTT messages, line
//! protocol, rows.
//!
//! `cargo bench -p energi-sinks --bench encoding`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use support::readings;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use energi_decoders::json::Json;
use energi_decoders::{DecoderTable, Reading};
use energi_sinks::influxdb::line_protocol::LineEncoder;
use energi_sinks::mqtt::{DeviceState, PublishPlan};
use energi_sinks::queue::Payload;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig, mqtt, sqlite};
use jiff::{SignedDuration, tz::TimeZone};
use serde_json::json;

fn hour() -> Vec<Arc<Reading>> {
    let start = "2026-06-20T11:00:00Z".parse().unwrap();
    readings::Device::default().life(start, SignedDuration::from_hours(1))
}

fn context() -> Context {
    Context {
        name: "bench".to_owned(),
        site: Some("home".to_owned()),
        timezone: TimeZone::get("Europe/London").unwrap(),
        device_names: Arc::new(BTreeMap::from([(readings::SERIAL, "Hot water".to_owned())])),
        only_devices: None,
        layouts: DecoderTable::confirmed().iter().map(|decoder| decoder.layout().clone()).collect(),
        live: false,
        backpressure: Backpressure::Wait,
        tariff: None,
        status: StatusHandle::default(),
    }
}

fn stdout(readings: &[Arc<Reading>]) -> usize {
    let mut lines = Vec::new();
    for reading in readings {
        writeln!(lines, "{}", Json(reading)).unwrap();
    }
    lines.len()
}

fn mqtt(readings: &[Arc<Reading>], plan: &Arc<PublishPlan>) -> usize {
    let mut device = DeviceState::new(readings::SERIAL, plan);
    let mut messages = Vec::new();
    readings.iter().fold(0, |count, reading| {
        device.take(reading, &mut messages);
        let sent = black_box(&messages).len();
        messages.clear();
        count + sent
    })
}

fn influxdb(readings: &[Arc<Reading>], encoder: &LineEncoder) -> usize {
    let mut points = Payload::default();
    readings.iter().filter(|reading| encoder.reading(reading, &mut points)).count()
}

fn plan(interval: u32) -> Arc<PublishPlan> {
    let config = json!({"url": "mqtt://broker", "interval": interval});
    let config: mqtt::MqttConfig = serde_json::from_value(config).unwrap();
    Arc::new(PublishPlan::new(&config, &context()))
}

fn benchmarks(criterion: &mut Criterion) {
    let (readings, context) = (hour(), context());
    let mut group = criterion.benchmark_group("an hour of readings");
    group.throughput(Throughput::Elements(readings.len() as u64));
    group.bench_function("stdout, lines of JSON", |b| b.iter(|| stdout(&readings)));
    for (name, interval) in [("mqtt, every 10 s", 10), ("mqtt, every reading", 0)] {
        let plan = plan(interval);
        group.bench_function(name, |b| b.iter(|| mqtt(&readings, &plan)));
    }
    let encoder = LineEncoder::new(context.site.as_deref(), &context.device_names);
    group.bench_function("influxdb, line protocol", |b| b.iter(|| influxdb(&readings, &encoder)));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut history = || -> Box<dyn Sink> {
        number += 1;
        let path = folder.path().join(format!("{number}.db"));
        let config = sqlite::SqliteConfig { path, ..sqlite::SqliteConfig::default() };
        runtime.block_on(config.open(&context)).unwrap()
    };
    group.bench_function("sqlite, one batch into a new file", |b| {
        let write = |mut sink: Box<dyn Sink>| {
            runtime.block_on(sink.write(&readings)).unwrap();
            sink
        };
        b.iter_batched(&mut history, write, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(encoding, benchmarks);
criterion_main!(encoding);
