//! Cost of handing each reading to every sink: one channel, so many subscriptions.
//!
//! `cargo bench -p energi-sinks --bench fan_out`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::sync::Arc;
use support::readings;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use energi_decoders::Reading;
use energi_sinks::channel::{Delivery, Publisher, Subscription};
use jiff::SignedDuration;

/// A batch of the stdout sink.
const BATCH: usize = 1024;

fn readings() -> Vec<Arc<Reading>> {
    let start = "2026-06-20T11:00:00Z".parse().unwrap();
    let mut readings = readings::Device::default().life(start, SignedDuration::from_hours(1));
    readings.truncate(BATCH);
    readings
}

fn drain(subscription: &mut Subscription) {
    while let Some(Delivery::Item(reading)) = subscription.try_next() {
        black_box(reading);
    }
    subscription.taken();
}

fn benchmarks(criterion: &mut Criterion) {
    let readings = readings();
    let mut group = criterion.benchmark_group("fan-out");
    group.throughput(Throughput::Elements(readings.len() as u64));
    for sinks in [1, 2, 4, 8] {
        let mut publisher = Publisher::default();
        let hub = publisher.hub();
        let mut subscriptions: Vec<_> = (0..sinks).map(|_| hub.subscribe().unwrap()).collect();
        group.bench_function(BenchmarkId::new("sinks", sinks), |b| {
            b.iter(|| {
                for reading in &readings {
                    assert!(publisher.wait_for_room(|| false));
                    publisher.publish(Arc::clone(reading));
                }
                subscriptions.iter_mut().for_each(drain);
            });
        });
    }
    group.finish();
}

criterion_group!(fan_out, benchmarks);
criterion_main!(fan_out);
