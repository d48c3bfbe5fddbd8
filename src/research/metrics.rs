//! Confirmed metrics of a capture over time, as the gate passes them.

use std::collections::{BTreeMap, BTreeSet};

use energi_decoders::{
    Class, DecoderTable, Gate, MacAddress, Metric, Plausibility, Record, Verdict,
};
use jiff::Timestamp;

use super::Downsampled;
use super::series::{AGAIN, median_step};

/// Points that are kept of one metric: three days of one every two seconds.
const MOST_POINTS: usize = 1 << 17;

/// Devices whose metrics are kept.
const MOST_DEVICES: usize = 8;

/// Values further apart than this tell nothing about the time between them, in µs.
const LONGEST_GAP: i64 = 60_000_000;

/// One metric of one device, from the packet that carries it most often.
#[derive(Debug, Clone)]
pub struct KnownMetric {
    /// The metric.
    pub metric: Metric,
    /// Serial number of the device.
    pub serial: u32,
    /// Times of the values, in µs since 1970, ascending.
    pub times: Vec<i64>,
    /// Values; a flag is 0 or 1.
    pub values: Vec<f64>,
    /// The median time between two values, in µs.
    pub interval: i64,
    /// The smallest step from one value to the next.
    pub resolution: f64,
}

/// The smallest step between neighbours; 0 where they are all the same.
fn resolution(values: &[f64]) -> f64 {
    let steps = values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let least = steps.filter(|step| *step > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

impl KnownMetric {
    /// A metric that was told by a file, not by the capture.
    #[must_use]
    pub fn outside(name: String, points: &[(i64, f64)]) -> Self {
        Self::told(name, Class::Unknown, points)
    }

    /// A flag that was told by a file, 0 or 1 at each point.
    #[must_use]
    pub fn flag(name: String, points: &[(i64, f64)]) -> Self {
        Self::told(name, Class::Flag, points)
    }

    fn told(name: String, class: Class, points: &[(i64, f64)]) -> Self {
        let (times, values): (Vec<i64>, Vec<f64>) = points.iter().copied().unzip();
        Self {
            metric: Metric {
                label: name.clone().into(),
                key: name.into(),
                unit: "".into(),
                class,
                range: (f64::NEG_INFINITY, f64::INFINITY),
            },
            serial: 0,
            interval: median_step(&times),
            resolution: resolution(&values),
            times,
            values,
        }
    }

    /// Returns whether it is a flag.
    #[must_use]
    pub const fn is_flag(&self) -> bool {
        matches!(self.metric.class, Class::Flag | Class::Running)
    }

    /// The value `lag` µs before each of the ascending `times`: interpolated on a straight line, a
    /// flag's last. NaN where the nearest values are too far apart.
    #[must_use]
    pub fn at(&self, times: &[i64], lag: i64) -> Vec<f64> {
        let longest = LONGEST_GAP.max(3 * self.interval);
        let flag = self.is_flag();
        let mut next = 0;
        let value = |time: i64| {
            while self.times.get(next).is_some_and(|&known| known <= time) {
                next += 1;
            }
            let before = next.checked_sub(1)?;
            let (from, start) = (*self.times.get(before)?, *self.values.get(before)?);
            if from == time {
                return Some(start);
            }
            let (to, end) = (*self.times.get(next)?, *self.values.get(next)?);
            if to - from > longest {
                return None;
            }
            #[expect(clippy::cast_precision_loss, reason = "differences within a minute or so")]
            let way = (time - from) as f64 / (to - from) as f64;
            Some(if flag { start } else { start + (end - start) * way })
        };
        let mut value = value;
        times.iter().map(|time| value(time - lag).unwrap_or(f64::NAN)).collect()
    }
}

/// Values of one metric in one packet.
#[derive(Debug)]
struct Said {
    metric: Metric,
    source: Option<MacAddress>,
    points: Downsampled<(i64, f64)>,
}

/// Confirmed metrics as they are received.
#[derive(Debug)]
pub struct Metrics {
    decoders: DecoderTable,
    gate: Gate,
    devices: BTreeSet<u32>,
    /// Values by serial number, key and packet.
    said: BTreeMap<(u32, String, u8), Said>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            decoders: DecoderTable::confirmed(),
            gate: Gate::new(Plausibility::Withhold),
            devices: BTreeSet::new(),
            said: BTreeMap::new(),
        }
    }
}

impl Metrics {
    /// The keys of all confirmed metrics.
    #[must_use]
    pub fn keys() -> BTreeSet<String> {
        let table = DecoderTable::confirmed();
        let fields = table.iter().flat_map(|decoder| decoder.layout().fields.iter());
        fields.map(|field| field.key().to_owned()).collect()
    }

    /// Takes in what the confirmed decoders read in a record.
    pub fn add(
        &mut self,
        record: &Record<'_>,
        time: Option<Timestamp>,
        source: Option<MacAddress>,
    ) {
        let Some(time) = time else { return };
        for mut reading in self.decoders.decode(record).flatten() {
            reading.time = Some(time);
            let serial = reading.serial;
            let strange = energi_decoders::reading::is_no_device(serial)
                || (self.devices.len() >= MOST_DEVICES && !self.devices.contains(&serial));
            if strange || self.gate.pass(&mut reading, |_| {}) == Verdict::Empty {
                continue;
            }
            self.devices.insert(serial);
            for (field, value) in reading.fields() {
                let key = (serial, field.key().to_owned(), reading.packet());
                let said = self.said.entry(key).or_insert_with(|| Said {
                    metric: field.metric.clone(),
                    source,
                    points: Downsampled::new(MOST_POINTS),
                });
                said.points.push((time.as_microsecond(), value.as_f64()));
            }
        }
    }

    /// The devices that were received.
    #[must_use]
    pub const fn devices(&self) -> &BTreeSet<u32> {
        &self.devices
    }

    /// The metrics of one device, each from the packet that carried it most often.
    #[must_use]
    pub fn of(&self, serial: u32) -> Vec<KnownMetric> {
        let mut best: BTreeMap<&str, KnownMetric> = BTreeMap::new();
        for ((owner, key, _), Said { metric, points, .. }) in &self.said {
            let richer = |other: &KnownMetric| points.items().len() > other.times.len();
            if *owner != serial || !best.get(key.as_str()).is_none_or(richer) {
                continue;
            }
            let mut points = points.items().to_vec();
            points.sort_by_key(|(time, _)| *time);
            points.dedup_by(|later, earlier| {
                later.0 - earlier.0 < AGAIN && later.1.to_bits() == earlier.1.to_bits()
            });
            let (times, values): (Vec<i64>, Vec<f64>) = points.into_iter().unzip();
            let known = KnownMetric {
                metric: metric.clone(),
                serial,
                interval: median_step(&times),
                resolution: resolution(&values),
                times,
                values,
            };
            best.insert(key, known);
        }
        best.into_values().collect()
    }

    /// The device whose metrics most likely explain records from `source`: the one that sends from
    /// there, else the one received most.
    #[must_use]
    pub fn device_at(&self, source: Option<MacAddress>) -> Option<u32> {
        let received = |serial: u32| {
            let of = self.said.iter().filter(|((owner, ..), _)| *owner == serial);
            let near = source.is_some() && of.clone().any(|(_, said)| said.source == source);
            (near, of.map(|(_, said)| said.points.items().len()).sum::<usize>())
        };
        self.devices.iter().copied().max_by_key(|serial| received(*serial))
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::metric::{BOOST, GRID_PWR};

    use super::*;

    fn known(metric: &Metric, points: &[(i64, f64)]) -> KnownMetric {
        let (times, values): (Vec<i64>, Vec<f64>) =
            points.iter().map(|(second, value)| (second * 1_000_000, *value)).unzip();
        let (interval, resolution) = (median_step(&times), resolution(&values));
        KnownMetric { metric: metric.clone(), serial: 1, times, values, interval, resolution }
    }

    fn seconds(list: &[i64]) -> Vec<i64> {
        list.iter().map(|second| second * 1_000_000).collect()
    }

    #[test]
    fn between_two_values_lies_a_straight_line() {
        let known = known(&GRID_PWR, &[(0, 0.0), (2, 100.0), (4, 50.0), (100, 7.0)]);
        assert_eq!(known.at(&seconds(&[0, 1, 2, 3, 4]), 0), [0.0, 50.0, 100.0, 75.0, 50.0]);
        assert_eq!(known.at(&seconds(&[3, 4]), 2_000_000), [50.0, 100.0]);
    }

    #[test]
    fn beyond_a_gap_a_value_is_unknown() {
        let known = known(&GRID_PWR, &[(0, 0.0), (2, 100.0), (4, 50.0), (100, 7.0)]);
        let nothing = known.at(&seconds(&[-1, 50, 101]), 0);
        assert!(nothing.iter().all(|value| value.is_nan()), "{nothing:?}");
    }

    #[test]
    fn a_flag_keeps_its_last_value() {
        let known = known(&BOOST, &[(0, 0.0), (12, 1.0), (24, 0.0)]);
        assert_eq!(known.at(&[11_000_000, 12_000_000, 23_000_000], 0), [0.0, 1.0, 1.0]);
    }
}
