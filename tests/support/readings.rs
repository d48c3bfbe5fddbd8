//! Readings as a household's device sends them, made from bytes by the decoders.

#![allow(
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    dead_code,
    reason = "shared by tests and examples: a fault here is to be seen at once"
)]

use std::sync::Arc;

use energi_decoders::{DecoderTable, Frame, Reading};
use jiff::{SignedDuration, Timestamp};

/// The serial number of the device.
pub const SERIAL: u32 = 17_589_669;

/// Makes typed readings of confirmed packets.
pub struct Device {
    table: DecoderTable,
    serial: u32,
}

impl Default for Device {
    fn default() -> Self {
        Self::new(SERIAL)
    }
}

impl Device {
    /// A device with a serial number.
    pub fn new(serial: u32) -> Self {
        Self { table: DecoderTable::confirmed(), serial }
    }

    /// CT readings (`0x22`) in watts.
    pub fn powers(&self, time: Timestamp, grid: i16, generation: i16, divert: i16) -> Arc<Reading> {
        let body = [(0x1E, grid), (0x22, generation), (0x32, divert)];
        self.read(time, 0x22, 0x2E, &body.map(|(at, watts)| (at, watts.to_le_bytes())))
    }

    /// Mains and daily counter (`0x1F`): hundredths of a hertz and a kWh, tenths of a volt.
    pub fn mains(&self, time: Timestamp, frequency: u16, counter: u16, volts: u16) -> Arc<Reading> {
        let body = [(0x22, frequency), (0x2C, counter), (0x32, volts)];
        self.read(time, 0x1F, 0x1E, &body.map(|(at, raw)| (at, raw.to_le_bytes())))
    }

    /// Returns what the diverter does (`0x20`): the counter in hundredths of a kWh, power in watts.
    pub fn diverter(&self, time: Timestamp, counter: u16, watts: u16) -> Arc<Reading> {
        let heating = u16::from(watts > 0) << 8;
        let body = [
            (0x22, 4998),
            (0x26, 3000),
            (0x2C, counter),
            (0x2E, heating),
            (0x34, watts),
            (0x36, watts / 2),
        ];
        self.read(time, 0x20, 0x1E, &body.map(|(at, raw): (usize, u16)| (at, raw.to_le_bytes())))
    }

    fn read(
        &self,
        time: Timestamp,
        length: u8,
        serial: usize,
        body: &[(usize, [u8; 2])],
    ) -> Arc<Reading> {
        let mut payload = vec![0; 0x18 + usize::from(length)];
        payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        payload[0x18] = length;
        payload[serial..serial + 4].copy_from_slice(&self.serial.to_le_bytes());
        for (at, raw) in body {
            payload[*at..at + 2].copy_from_slice(raw);
        }
        let frame = Frame::parse_payload(&payload).expect("a frame");
        let record = frame.records().next().expect("a record");
        let decoded = self.table.decode(&record).next().expect("a decoder");
        let mut reading = decoded.expect("a reading");
        reading.time = Some(time);
        Arc::new(reading)
    }

    /// A stretch of a sunny life, from `start` for `length`: 0x22 every 2 s, 0x20 every 12 s and
    /// 0x1F every 24 s. The counter starts from zero at midnight UTC.
    pub fn life(&self, start: Timestamp, length: SignedDuration) -> Vec<Arc<Reading>> {
        let mut readings = Vec::new();
        for second in (0..length.as_secs()).step_by(2) {
            let time = start + SignedDuration::new(second, 123_456_000);
            let of_day = (start.as_second() + second).rem_euclid(86_400);
            let noise = noise(u64::try_from(start.as_second() + second).unwrap_or_default());
            let (generation, divert) = powers(of_day);
            let load = 250 + i32::from(noise % 400 * (noise % 7 / 6) * 4) + i32::from(noise % 50);
            let small = |watts: i32| i16::try_from(watts).unwrap_or(i16::MAX);
            let jitter = i32::from(noise % 23) - 11;
            let generation = if generation > 0 { generation + jitter } else { 0 };
            let grid = load + divert - generation;
            readings.push(self.powers(time, small(grid), small(generation), small(divert)));
            let counter = u16::try_from(counter(of_day)).unwrap_or_default();
            if second % 12 == 0 {
                let time = time + SignedDuration::from_micros(700);
                readings.push(self.diverter(
                    time,
                    counter,
                    u16::try_from(divert).unwrap_or_default(),
                ));
            }
            if second % 24 == 0 {
                let time = time + SignedDuration::from_micros(1_400);
                readings.push(self.mains(time, 4990 + noise % 20, counter, 2380 + noise % 60));
            }
        }
        readings
    }
}

/// Generated and diverted watts at a second of the day: the sun from 6 to 20 o'clock, the surplus
/// over 500 W into the heater up to 3 kW, from 9 to 15 o'clock.
fn powers(second: i64) -> (i32, i32) {
    let sun = (second - 6 * 3600) as f64 / (14.0 * 3600.0);
    let sun = if (0.0..1.0).contains(&sun) { (sun * std::f64::consts::PI).sin() } else { 0.0 };
    let generation = (sun * 3600.0) as i32;
    let heats = (9 * 3600..15 * 3600).contains(&second);
    (generation, if heats { (generation - 500).clamp(0, 3000) } else { 0 })
}

/// The daily counter at a second of the day, in hundredths of a kWh: 1.5 kW on average from 9 to
/// 15 o'clock.
fn counter(second: i64) -> i64 {
    (second - 9 * 3600).clamp(0, 6 * 3600) * 1500 / 36_000
}

fn noise(seed: u64) -> u16 {
    let mixed = (seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    u16::try_from(mixed >> 48).unwrap_or_default()
}
