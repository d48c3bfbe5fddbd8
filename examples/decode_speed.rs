//! Prints how many frames of a capture one core decodes in a second, with every value computed.
//!
//! `cargo run --release --example decode_speed -- examples/captures/eddi-day.pcapng.gz`

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use std::hint::black_box;
use std::path::Path;

use energi_decoders::{DecoderTable, Frame};
use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Source};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let mut replay = ReplaySource::open(Path::new(&path), Speed::Max).unwrap();
    let mut frames = Vec::new();
    while let Event::Packet(packet) = replay.next().unwrap() {
        frames.push(packet.bytes.to_vec());
    }
    let table = DecoderTable::confirmed();
    let (started, mut decoded) = (cpu(), 0_u32);
    while cpu() - started < 2.0 {
        decode(&frames, &table);
        decoded += u32::try_from(frames.len()).unwrap();
    }
    println!("{:.0}", f64::from(decoded) / (cpu() - started));
}

/// Returns what this thread has had of the core so far, in seconds: what else the machine does
/// takes none of it.
#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn decode(frames: &[Vec<u8>], table: &DecoderTable) {
    for frame in frames.iter().filter_map(|bytes| Frame::parse(bytes).ok()) {
        for record in frame.records() {
            for reading in table.decode(&record).flatten() {
                for (field, value) in reading.fields() {
                    black_box((field.key(), value));
                }
            }
        }
    }
}
