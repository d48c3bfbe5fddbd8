//! Speed at which the example day decodes and passes the gate on one core.
//!
//! `cargo bench --bench decode`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use energi_decoders::{DecoderTable, Frame, Gate, Plausibility, Reading};
use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Source};
use jiff::Timestamp;

fn example_day() -> Vec<(Timestamp, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/captures/eddi-day.pcapng.gz");
    let mut replay = ReplaySource::open(&path, Speed::Max).unwrap();
    let mut frames = Vec::new();
    while let Event::Packet(packet) = replay.next().unwrap() {
        frames.push((packet.time.unwrap(), packet.bytes.to_vec()));
    }
    frames
}

fn decode(frames: &[(Timestamp, Vec<u8>)], table: &DecoderTable) -> usize {
    let mut readings = 0;
    for (_, bytes) in frames {
        let Ok(frame) = Frame::parse(bytes) else { continue };
        for record in frame.records() {
            for decoder in table.decoders(&record) {
                readings += usize::from(black_box(decoder.decode(&record)).is_ok());
            }
        }
    }
    readings
}

/// Every reading of the day, as the gate gets them.
fn readings(frames: &[(Timestamp, Vec<u8>)], table: &DecoderTable) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (time, bytes) in frames {
        let Ok(frame) = Frame::parse(bytes) else { continue };
        for record in frame.records() {
            for mut reading in table.decode(&record).flatten() {
                reading.time = Some(*time);
                readings.push(reading);
            }
        }
    }
    readings
}

fn gate(mut readings: Vec<Reading>) -> Vec<Reading> {
    let (mut gate, mut withheld) = (Gate::new(Plausibility::Withhold), 0);
    for reading in &mut readings {
        black_box(gate.pass(reading, |_| withheld += 1));
    }
    black_box(withheld);
    readings
}

fn benchmarks(criterion: &mut Criterion) {
    let frames = example_day();
    let confirmed = DecoderTable::confirmed();
    let everything = DecoderTable::built_in();
    let mut group = criterion.benchmark_group("example day");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("decode, confirmed", |b| b.iter(|| decode(&frames, &confirmed)));
    group.bench_function("decode, all decoders", |b| b.iter(|| decode(&frames, &everything)));
    let readings = readings(&frames, &confirmed);
    group.throughput(Throughput::Elements(readings.len() as u64));
    group.bench_function("gate, confirmed", |b| {
        b.iter_batched(|| readings.clone(), gate, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(decoding, benchmarks);
criterion_main!(decoding);
