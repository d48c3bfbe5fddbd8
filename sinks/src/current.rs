//! Newest values of every device, for sinks that show the present.

use std::collections::BTreeMap;
use std::time::Duration;

use energi_decoders::{Class, Metric, Product, Reading, Value};
use jiff::Timestamp;

use crate::eddi_state::EddiState;

/// Newest values of every device that was received, by serial number.
///
/// The quality gate bounds the devices (`devices.max`) and the decoders bound the keys, so input
/// from the network cannot let this grow.
#[derive(Debug, Default)]
pub struct CurrentValues {
    devices: BTreeMap<u32, CurrentDevice>,
}

/// Newest values of one device.
#[derive(Debug, Default)]
pub struct CurrentDevice {
    /// Capture time of the newest reading; `None` where the input has no times.
    pub time: Option<Timestamp>,
    /// Product, as far as the records tell.
    pub product: Product,
    /// Serial number of the device that relays this one's records.
    pub relay: Option<u32>,
    values: BTreeMap<String, CurrentValue>,
}

/// Newest value of one key.
#[derive(Debug, Clone)]
pub struct CurrentValue {
    /// The value.
    pub value: Value,
    /// Capture time of the reading that held the value.
    pub time: Option<Timestamp>,
    /// Unit as displayed; empty for flags and unknown numbers.
    pub unit: String,
    /// Name for people.
    pub label: String,
    /// Kind of quantity.
    pub class: Class,
}

impl CurrentValue {
    fn new(metric: &Metric, value: Value, time: Option<Timestamp>) -> Self {
        let (unit, label) = (metric.unit.to_string(), metric.label.to_string());
        Self { value, time, unit, label, class: metric.class }
    }
}

impl CurrentValues {
    /// Takes over every value of a reading.
    pub fn update(&mut self, reading: &Reading) {
        let device = self.devices.entry(reading.serial).or_default();
        device.time = reading.time;
        if reading.product != Product::Unknown {
            device.product = reading.product;
        }
        device.relay = reading.relay().or(device.relay);
        for (field, value) in reading.fields() {
            if let Some(current) = device.values.get_mut(field.key()) {
                (current.value, current.time) = (value, reading.time);
            } else {
                let current = CurrentValue::new(&field.metric, value, reading.time);
                device.values.insert(field.key().to_owned(), current);
            }
        }
    }

    /// Devices by serial number, the lowest first.
    pub fn devices(&self) -> impl Iterator<Item = (u32, &CurrentDevice)> {
        self.devices.iter().map(|(serial, device)| (*serial, device))
    }

    /// Values of one device, where it was received.
    #[must_use]
    pub fn device(&self, serial: u32) -> Option<&CurrentDevice> {
        self.devices.get(&serial)
    }

    /// Forgets every device whose newest reading is older than `timeout` at `now`.
    pub fn forget_silent(&mut self, now: Timestamp, timeout: Duration) {
        self.devices.retain(|_, device| {
            device.time.is_none_or(|time| now.duration_since(time).unsigned_abs() <= timeout)
        });
    }
}

impl CurrentDevice {
    /// Newest value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.values.get(key).map(|current| current.value)
    }

    /// Newest value of `key` as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).map(Value::as_f64)
    }

    /// Keys with their newest values, in the order of the keys.
    pub fn values(&self) -> impl Iterator<Item = (&str, &CurrentValue)> {
        self.values.iter().map(|(key, current)| (key.as_str(), current))
    }

    /// State of an eddi, once the values that decide are known.
    #[must_use]
    pub fn state(&self) -> Option<EddiState> {
        EddiState::of(|key| self.get(key))
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::{DecoderTable, Frame};

    use super::*;

    /// Reading of a 0x22 summary: grid power, generation and divert power in W.
    fn summary(serial: u32, grid: i16) -> Reading {
        let mut frame = vec![0xCB, 0xDA, 0xE9, 0xF8];
        frame.resize(0x18 + 0x22, 0);
        frame[0x18] = 0x22;
        frame[0x1E..0x20].copy_from_slice(&grid.to_le_bytes());
        frame[0x2E..0x32].copy_from_slice(&serial.to_le_bytes());
        let frame = Frame::parse_payload(&frame).unwrap();
        let record = frame.records().next().unwrap();
        DecoderTable::confirmed().decode(&record).next().unwrap().unwrap()
    }

    #[test]
    fn the_newest_value_replaces_the_one_before() {
        let mut current = CurrentValues::default();
        current.update(&summary(7, -120));
        current.update(&summary(7, 340));
        assert_eq!(current.device(7).unwrap().get("grid_pwr"), Some(Value::Integer(340)));
    }

    #[test]
    fn a_silent_device_is_forgotten() {
        let now = Timestamp::UNIX_EPOCH;
        let mut current = CurrentValues::default();
        for (serial, age) in [(7, 121), (8, 119)] {
            let mut reading = summary(serial, 0);
            reading.time = Some(now - Duration::from_secs(age));
            current.update(&reading);
        }
        current.forget_silent(now, Duration::from_mins(2));
        assert_eq!(current.devices().map(|(serial, _)| serial).collect::<Vec<_>>(), [8]);
    }
}
