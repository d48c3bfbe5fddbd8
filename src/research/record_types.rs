//! Kinds of records in a capture.

use std::collections::BTreeMap;

use energi_decoders::{MacAddress, Record};
use jiff::{SignedDuration, Timestamp};

use super::Downsampled;

/// Record types that are told apart. A site has a few dozen; a hostile capture could have 2^72.
const MOST_KINDS: usize = 4096;

/// Intervals that a median is taken of.
const INTERVALS: usize = 1024;

/// Key of a kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// The length byte.
    pub length: u8,
    /// The record type.
    pub record_type: u16,
    /// Sender; `None` for payloads without an Ethernet header.
    pub source: Option<MacAddress>,
}

impl RecordKey {
    /// The kind of a record from a sender.
    #[must_use]
    pub const fn of(record: &Record<'_>, source: Option<MacAddress>) -> Self {
        Self { length: record.length(), record_type: record.record_type(), source }
    }
}

/// Statistics of one kind of record.
#[derive(Debug, Clone)]
pub struct RecordTypeStats {
    /// Number of records.
    pub count: u64,
    /// Time of the first that has one.
    pub first: Option<Timestamp>,
    /// Time of the last that has one.
    pub last: Option<Timestamp>,
    /// The first record, whole.
    pub sample: Vec<u8>,
    /// The product classes of the records, a bit each.
    classes: u8,
    intervals: Downsampled<SignedDuration>,
}

impl RecordTypeStats {
    fn new(record: &Record<'_>) -> Self {
        Self {
            count: 0,
            first: None,
            last: None,
            sample: record.bytes().to_vec(),
            classes: 0,
            intervals: Downsampled::new(INTERVALS),
        }
    }

    fn add(&mut self, record: &Record<'_>, time: Option<Timestamp>) {
        self.count += 1;
        self.classes |= 1 << record.class();
        if let Some(time) = time {
            if let Some(last) = self.last {
                self.intervals.push(time.duration_since(last));
            }
            self.first = self.first.or(Some(time));
            self.last = Some(time);
        }
    }

    /// The product classes of the records, ascending.
    pub fn classes(&self) -> impl Iterator<Item = u8> + use<> {
        let classes = self.classes;
        (0..8).filter(move |class| classes >> class & 1 == 1)
    }

    /// The median time from one record to the next; `None` for fewer than two with a time.
    #[must_use]
    pub fn interval(&self) -> Option<SignedDuration> {
        let mut intervals = self.intervals.items().to_vec();
        intervals.sort_unstable();
        intervals.get(intervals.len() / 2).copied()
    }
}

/// The kinds of records seen so far.
#[derive(Debug, Clone, Default)]
pub struct RecordTypeCounts {
    kinds: BTreeMap<RecordKey, RecordTypeStats>,
    /// Records of further kinds, once 4096 are told apart.
    pub untold: u64,
}

impl RecordTypeCounts {
    /// Takes a record in.
    pub fn add(
        &mut self,
        record: &Record<'_>,
        time: Option<Timestamp>,
        source: Option<MacAddress>,
    ) {
        let key = RecordKey::of(record, source);
        if self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(&key) {
            self.untold += 1;
            return;
        }
        self.kinds.entry(key).or_insert_with(|| RecordTypeStats::new(record)).add(record, time);
    }

    /// Each kind, by length, then type, then source.
    pub fn iter(&self) -> impl Iterator<Item = (&RecordKey, &RecordTypeStats)> {
        self.kinds.iter()
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::Frame;

    use super::*;

    fn payload(length: u8, record_type: u16) -> Vec<u8> {
        let mut payload = vec![0; 0x18 + usize::from(length)];
        payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        payload[0x18] = length;
        payload[0x1A..0x1C].copy_from_slice(&record_type.to_le_bytes());
        payload
    }

    #[test]
    fn each_record_type_has_its_median_rate() {
        let mut kinds = RecordTypeCounts::default();
        let near = Some(MacAddress([0x70, 0xb3, 0xd5, 0, 0, 1]));
        let far = Some(MacAddress([0x70, 0xb3, 0xd5, 0, 0, 2]));
        let mut add = |second: i64, length, record_type, source| {
            let payload = payload(length, record_type);
            let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
            kinds.add(&record, Some(Timestamp::from_second(second).unwrap()), source);
        };
        // One frame is missing, which moves the mean but not the median.
        for second in [0, 12, 24, 48, 60] {
            add(second, 0x2C, 0x006C, near);
        }
        add(30, 0x2C, 0x006C, far);
        add(30, 0x2C, 0x5A5A, near);
        add(30, 0x2D, 0x006C, near);

        let counts: Vec<_> = kinds.iter().map(|(key, kind)| (key.length, kind.count)).collect();
        assert_eq!(counts, [(0x2C, 5), (0x2C, 1), (0x2C, 1), (0x2D, 1)]);
        let (_, kind) = kinds.iter().next().unwrap();
        assert_eq!(kind.interval(), Some(SignedDuration::from_secs(12)));
        assert_eq!(kind.first.map(Timestamp::as_second), Some(0));
        assert_eq!(kind.last.map(Timestamp::as_second), Some(60));
        assert_eq!(kind.sample.len(), 0x2C);
    }

    #[test]
    fn a_hostile_capture_does_not_fill_the_memory() {
        let mut kinds = RecordTypeCounts::default();
        for record_type in 0..u16::MAX {
            let payload = payload(6, record_type);
            let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
            kinds.add(&record, None, None);
        }
        assert_eq!(kinds.iter().count(), MOST_KINDS);
        assert_eq!(kinds.untold, u64::from(u16::MAX) - MOST_KINDS as u64);
    }
}
