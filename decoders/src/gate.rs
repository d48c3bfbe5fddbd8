//! The quality gate: what cannot be true is withheld before any sink sees it.
//!
//! A value outside its metric's plausible range is withheld, and the confirmed daily counter must
//! pass [`CounterFilter::gate`]. The state is one small filter a device; the caller bounds the
//! number of devices.

use std::collections::HashMap;

use crate::counter::{CounterFilter, CounterPoint, Judgement, WattHours};
use crate::metric::DIVERTED_KWH_KEY;
use crate::reading::Reading;

/// Treatment of implausible values by the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plausibility {
    /// Implausible values are withheld and counted.
    #[default]
    Withhold,
    /// Everything passes, but for serial numbers that no device has.
    Keep,
}

/// Result of the gate for a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One field passes at least.
    Pass,
    /// Every field was withheld.
    Empty,
}

/// The gate, for all devices.
#[derive(Debug, Default)]
pub struct Gate {
    plausibility: Plausibility,
    counters: HashMap<u32, CounterFilter>,
}

impl Gate {
    /// A gate that has seen nothing.
    #[must_use]
    pub fn new(plausibility: Plausibility) -> Self {
        Self { plausibility, counters: HashMap::new() }
    }

    /// Withholds what is implausible in `reading` and tells each withheld key to `count`.
    pub fn pass(&mut self, reading: &mut Reading, mut count: impl FnMut(&str)) -> Verdict {
        if self.plausibility == Plausibility::Keep {
            return Verdict::Pass;
        }
        let (serial, time) = (reading.serial, reading.time);
        let counters = &mut self.counters;
        reading.retain(|field, value| {
            let value = value.as_f64();
            let (least, greatest) = field.metric.range;
            let plausible = value.is_finite()
                && (least..=greatest).contains(&value)
                && (field.key() != DIVERTED_KWH_KEY
                    || time.is_none_or(|time| {
                        let energy = WattHours::from_kwh(value);
                        may_pass(counters, serial, CounterPoint { time, energy })
                    }));
            if !plausible {
                count(field.key());
            }
            plausible
        });
        if reading.is_empty() { Verdict::Empty } else { Verdict::Pass }
    }
}

fn may_pass(counters: &mut HashMap<u32, CounterFilter>, serial: u32, point: CounterPoint) -> bool {
    let filter = counters.entry(serial).or_insert_with(CounterFilter::gate);
    filter.judge(point) != Judgement::Withheld
}

#[cfg(test)]
#[expect(clippy::inconsistent_digit_grouping, reason = "as the protocol scales: 50_01 is 50.01")]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::decoder::{Decoder, TableDecoder};
    use crate::field::{Field, Raw};
    use crate::frame::Frame;
    use crate::layout::Layout;
    use crate::table::DecoderTable;
    use crate::value::Value;

    const EDDI: u32 = 17_589_669;

    /// A payload with one record of length 0x1F: frequency and counter in hundredths, voltage in
    /// tenths.
    fn payload(serial: u32, frequency: u16, counter: u16, voltage: u16) -> Vec<u8> {
        let mut bytes = vec![0; 0x18 + 0x1F];
        bytes[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        bytes[0x18] = 0x1F;
        bytes[0x1E..0x22].copy_from_slice(&serial.to_le_bytes());
        bytes[0x22..0x24].copy_from_slice(&frequency.to_le_bytes());
        bytes[0x2C..0x2E].copy_from_slice(&counter.to_le_bytes());
        bytes[0x32..0x34].copy_from_slice(&voltage.to_le_bytes());
        bytes
    }

    fn decoded(decoder: &dyn Decoder, payload: &[u8]) -> Reading {
        let record = Frame::parse_payload(payload).unwrap().records().next().unwrap();
        decoder.decode(&record).unwrap()
    }

    /// A reading without a time.
    fn untimed(serial: u32, frequency: u16, counter: u16, voltage: u16) -> Reading {
        let table = DecoderTable::confirmed();
        let decoder = table.iter().find(|decoder| decoder.layout().length == Some(0x1F)).unwrap();
        decoded(decoder, &payload(serial, frequency, counter, voltage))
    }

    fn heard(seconds: i64, frequency: u16, counter: u16, voltage: u16) -> Reading {
        let mut reading = untimed(EDDI, frequency, counter, voltage);
        reading.time = Some(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds));
        reading
    }

    /// A gate that has heard the counter of the eddi twice, and believes it.
    fn settled(counter: u16) -> Gate {
        let mut gate = Gate::default();
        for seconds in [-24, -12] {
            withheld(&mut gate, heard(seconds, 50_00, counter, 230_0));
        }
        gate
    }

    /// The keys that the gate withholds of a reading.
    fn withheld(gate: &mut Gate, mut reading: Reading) -> Vec<String> {
        let mut keys = Vec::new();
        gate.pass(&mut reading, |key| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn a_value_passes_up_to_the_ends_of_its_range() {
        let cases: [(u16, u16, u16, &[&str]); 8] = [
            (50_00, 1_00, 230_0, &[]),
            (45_00, 1_00, 80_0, &[]),
            (65_00, 1_00, 300_0, &[]),
            (44_99, 1_00, 230_0, &["frequency"]),
            (65_01, 1_00, 79_9, &["frequency", "voltage"]),
            (50_00, 90_00, 230_0, &[]),
            (50_00, 90_01, 230_0, &["diverted_kWh"]),
            (50_00, 655_35, 300_1, &["diverted_kWh", "voltage"]),
        ];
        for (frequency, counter, voltage, expected) in cases {
            let mut gate = settled(counter);
            let reading = heard(0, frequency, counter, voltage);
            assert_eq!(withheld(&mut gate, reading), expected, "{frequency} {counter} {voltage}");
        }
    }

    #[test]
    fn an_inverter_may_draw_a_little_at_night() {
        let mut bytes = vec![0; 0x18 + 0x22];
        bytes[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        bytes[0x18] = 0x22;
        bytes[0x22..0x24].copy_from_slice(&(-20_i16).to_le_bytes());
        bytes[0x2E..0x32].copy_from_slice(&EDDI.to_le_bytes());
        let table = DecoderTable::confirmed();
        let decoder = table.iter().find(|decoder| decoder.layout().length == Some(0x22)).unwrap();
        let withheld = withheld(&mut Gate::default(), decoded(decoder, &bytes));
        assert_eq!(withheld, Vec::<String>::new());
    }

    #[test]
    fn a_value_without_a_range_must_be_a_number() {
        // A custom decoder may divide by as little as its author likes.
        for (divide, raw, expected) in [(1.0, 1, &[][..]), (1e-320, 1, &["v"]), (1e-320, 0, &[])] {
            let fields = vec![Field::unknown("v", "v", 0x22, Raw::U16).per(divide)];
            let mut layout = Layout::experimental(0x1F, "free", &[]);
            layout.fields = fields.into();
            let reading = decoded(&TableDecoder::new(layout), &payload(EDDI, raw, 0, 0));
            assert_eq!(withheld(&mut Gate::default(), reading), expected, "{raw} / {divide}");
        }
    }

    #[test]
    fn a_reading_of_which_nothing_is_left_is_empty() {
        let mut reading = heard(0, 0, 91_00, 0);
        assert_eq!(Gate::default().pass(&mut reading, |_| ()), Verdict::Empty);
        let mut reading = heard(0, 0, 90_00, 0);
        assert_eq!(settled(90_00).pass(&mut reading, |_| ()), Verdict::Pass);
    }

    #[test]
    fn keep_passes_everything_else() {
        let mut gate = Gate::new(Plausibility::Keep);
        for (seconds, counter) in [(0, 5_00), (12, 0), (24, 655_35)] {
            assert!(withheld(&mut gate, heard(seconds, 0, counter, u16::MAX)).is_empty());
        }
    }

    #[test]
    fn only_the_counter_of_a_transient_zero_is_withheld() {
        let mut gate = settled(5_00);
        assert!(withheld(&mut gate, heard(0, 50_00, 5_00, 230_0)).is_empty());
        let mut zero = heard(12, 50_00, 0, 230_0);
        assert_eq!(gate.pass(&mut zero, |_| ()), Verdict::Pass);
        assert_eq!(zero.get("diverted_kWh"), None);
        assert_eq!(zero.get("voltage"), Some(Value::Float(230.0)));
        assert!(withheld(&mut gate, heard(24, 50_00, 5_00, 230_0)).is_empty());
    }

    #[test]
    fn a_device_that_starts_at_zero_is_believed_in_time() {
        let mut gate = settled(5_00);
        for seconds in [12, 24, 36, 48, 60] {
            assert_eq!(withheld(&mut gate, heard(seconds, 50_00, 0, 230_0)), ["diverted_kWh"]);
        }
        assert!(withheld(&mut gate, heard(72, 50_00, 0, 230_0)).is_empty());
    }

    #[test]
    fn each_device_has_a_counter_of_its_own() {
        let mut gate = settled(5_00);
        for (seconds, waits) in [(12, true), (24, false)] {
            let mut other = heard(seconds, 50_00, 0, 230_0);
            other.serial = EDDI + 1;
            assert_eq!(!withheld(&mut gate, other).is_empty(), waits);
        }
    }

    #[test]
    fn after_a_start_only_the_counter_waits() {
        let mut gate = Gate::default();
        for (seconds, counter, keys) in
            [(0, 88_00, &["diverted_kWh"][..]), (12, 5_00, &["diverted_kWh"]), (24, 5_01, &[])]
        {
            assert_eq!(withheld(&mut gate, heard(seconds, 50_00, counter, 230_0)), keys);
        }
    }

    #[test]
    fn a_reading_without_a_time_is_judged_by_range() {
        let mut gate = Gate::default();
        for counter in [5_00, 0, 90_00, 1_00] {
            let reading = untimed(EDDI, 50_00, counter, 230_0);
            assert!(withheld(&mut gate, reading).is_empty(), "{counter}");
        }
        let reading = untimed(EDDI, 50_00, 90_01, 230_0);
        assert_eq!(withheld(&mut gate, reading), ["diverted_kWh"]);
    }
}
