//! The records of one kind in the order of time.

use energi_decoders::{MacAddress, Record};
use jiff::Timestamp;

use super::record_types::RecordKey;
use super::{Downsampled, View};

/// Records that are kept of one kind: six days of one every two seconds.
const MOST_ROWS: usize = 1 << 18;

/// Record types of one length that are kept apart.
const MOST_SERIES: usize = 8;

/// Time, in µs, within which a repeated record came once: a mirrored port shows frames twice, and
/// captures may overlap. No device repeats itself so soon.
pub(super) const AGAIN: i64 = 100_000;

/// Selection of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSelection {
    /// The length byte.
    pub length: u8,
    /// Type of the records; any where `None`.
    pub record_type: Option<u16>,
    /// Sender of the records; anyone where `None`.
    pub source: Option<MacAddress>,
}

impl RecordSelection {
    fn takes(&self, key: &RecordKey) -> bool {
        self.length == key.length
            && self.record_type.is_none_or(|wanted| wanted == key.record_type)
            && self.source.is_none_or(|wanted| Some(wanted) == key.source)
    }
}

/// Records of one length, type and source. At most 262,144 are kept, evenly spread.
#[derive(Debug, Clone)]
pub struct RecordSeries {
    /// Common key of the records.
    pub key: RecordKey,
    /// Number of records, kept or not.
    pub count: u64,
    /// Number of those that were kept, came again, and were left out.
    pub repeated: usize,
    rows: Downsampled<(i64, Box<[u8]>)>,
}

impl RecordSeries {
    /// The records that were kept, with their times in µs since 1970.
    #[must_use]
    pub fn records(&self) -> impl ExactSizeIterator<Item = (i64, Record<'_>)> + Clone {
        self.rows.items().iter().map(|(time, bytes)| (*time, whole(bytes)))
    }

    /// The time of each record, in µs since 1970, ascending.
    #[must_use]
    pub fn times(&self) -> Vec<i64> {
        self.rows.items().iter().map(|(time, _)| *time).collect()
    }

    /// Returns what `view` reads in each record.
    #[must_use]
    pub fn column(&self, view: View) -> Vec<i64> {
        let read = view.reader();
        self.records().map(|(_, record)| read(&record)).collect()
    }

    /// One of so many records was kept.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.rows.stride()
    }
}

fn whole(bytes: &[u8]) -> Record<'_> {
    #[expect(clippy::expect_used, reason = "only the bytes of records are ever stored")]
    Record::split(bytes).expect("a record").0
}

/// The selected records of a capture, by kind.
#[derive(Debug, Clone)]
pub struct Gathered {
    selection: RecordSelection,
    series: Vec<RecordSeries>,
    /// Selected records without a time, which cannot be put in order.
    pub timeless: u64,
}

impl Gathered {
    /// Starts an empty series.
    #[must_use]
    pub const fn new(selection: RecordSelection) -> Self {
        Self { selection, series: Vec::new(), timeless: 0 }
    }

    /// Takes a record in, if it is selected.
    pub fn add(
        &mut self,
        record: &Record<'_>,
        time: Option<Timestamp>,
        source: Option<MacAddress>,
    ) {
        let key = RecordKey::of(record, source);
        if !self.selection.takes(&key) {
            return;
        }
        let Some(time) = time else {
            self.timeless += 1;
            return;
        };
        let index = self.series.iter().position(|series| series.key == key).or_else(|| {
            let room = self.series.len() < MOST_SERIES;
            room.then(|| {
                self.series.push(RecordSeries {
                    key,
                    count: 0,
                    repeated: 0,
                    rows: Downsampled::new(MOST_ROWS),
                });
                self.series.len() - 1
            })
        });
        if let Some(series) = index.and_then(|index| self.series.get_mut(index)) {
            series.count += 1;
            series.rows.push((time.as_microsecond(), record.bytes().into()));
        }
    }

    /// The kind that has the most records, and the others.
    #[must_use]
    pub fn most(mut self) -> Option<(RecordSeries, Vec<RecordSeries>)> {
        self.series.sort_by_key(|series| std::cmp::Reverse(series.count));
        for series in &mut self.series {
            // Clocks are set, and captures may be named in any order.
            series.rows.sort_by_key(|(time, _)| *time);
            let all = series.rows.items().len();
            series.rows.dedup_by(|(later, bytes), (earlier, before)| {
                later - earlier < AGAIN && bytes == before
            });
            series.repeated = all - series.rows.items().len();
        }
        let mut series = self.series.into_iter();
        series.next().map(|most| (most, series.collect()))
    }
}

/// The median step of ascending times, in µs; 1 s where there is none.
#[must_use]
pub fn median_step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().filter(|step| *step > 0).unwrap_or(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mirrored_port_shows_twice_is_one_record() {
        let selection = RecordSelection { length: 10, record_type: None, source: None };
        let mut gathered = Gathered::new(selection);
        let mut add = |microsecond, number: u8| {
            let bytes = [10, 0x53, 0, 0, 0, 0, number, 0, 0, 0];
            let time = Timestamp::from_microsecond(microsecond).unwrap();
            gathered.add(&whole(&bytes), Some(time), None);
        };
        // A capture, and another one that overlaps it by another clock.
        for (microsecond, number) in [(0, 1), (2_000_000, 1), (4_000_000, 2)] {
            add(microsecond, number);
        }
        for (microsecond, number) in [(2_000_040, 1), (4_000_030, 2), (4_000_050, 3)] {
            add(microsecond, number);
        }
        let (series, _) = gathered.most().unwrap();
        assert_eq!(series.times(), [0, 2_000_000, 4_000_000, 4_000_050]);
        assert_eq!((series.count, series.repeated), (6, 2));
    }
}
