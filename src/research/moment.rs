//! Changes around a time that somebody noted.
//!
//! The values of each byte and bit before the moment are compared with those after it: how far did
//! the mean move? That alone favours bytes that always move, so the same is asked at many other moments
//! of the capture, and what is shown first is what moved as far at the fewest of them.

use energi_decoders::Raw;
use energi_decoders::custom::Hex;
use serde::{Serialize, Serializer};

use super::View;
use super::series::RecordSeries;

/// Other moments that are looked at, at most.
const OTHERS: usize = 500;

/// A byte that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByteChange {
    /// The protocol offset of the byte.
    pub offset: Hex<u8>,
    /// The most frequent value before the moment.
    pub before: i64,
    /// The most frequent value after it.
    pub after: i64,
    /// Distance that its mean moved.
    #[serde(serialize_with = "hundredths")]
    pub moved: f64,
    /// The bits that were one way before and the other way after, always; 0 the least significant.
    pub flipped: Vec<u8>,
    /// The share of other moments at which it moved as far.
    pub elsewhere: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn hundredths<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 100.0).round() / 100.0)
}

/// Records around a moment.
struct Around<'a> {
    times: &'a [i64],
    window: i64,
}

impl Around<'_> {
    /// The rows before and after; `None` where either is empty.
    fn rows(&self, moment: i64) -> Option<[std::ops::Range<usize>; 2]> {
        let row = |time: i64| self.times.partition_point(|other| *other < time);
        let (from, at, to) = (row(moment - self.window), row(moment), row(moment + self.window));
        (from < at && at < to).then_some([from..at, at..to])
    }
}

/// The bytes whose mean moved at `moment`, in µs since 1970: the most remarkable first. `None`
/// where there is no record within `window` µs before or after it.
#[must_use]
pub fn changes(series: &RecordSeries, moment: i64, window: i64) -> Option<Vec<ByteChange>> {
    let times = series.times();
    let around = Around { times: &times, window };
    let here = around.rows(moment)?;
    let every = times.len().div_ceil(OTHERS).max(1);
    let far = times.iter().step_by(every).filter(|time| (*time - moment).abs() > 2 * window);
    let others: Vec<_> = far.filter_map(|time| around.rows(*time)).collect();
    let bytes = View::numbers(series.key.length).filter(|view| view.raw == Raw::U8);
    let mut changes: Vec<_> = bytes
        .filter_map(|view| {
            let column = series.column(view);
            let moved = moved(&column, &here);
            if moved == 0.0 {
                return None;
            }
            let as_far = others.iter().filter(|rows| self::moved(&column, rows) >= moved).count();
            let [before, after] = here.clone().map(|rows| column.get(rows).unwrap_or_default());
            #[expect(clippy::cast_precision_loss, reason = "500 at most")]
            let elsewhere = as_far as f64 / others.len().max(1) as f64;
            let (before_bits, after_bits) = (steady(before), steady(after));
            let flipped = before_bits.0 & after_bits.1 | before_bits.1 & after_bits.0;
            Some(ByteChange {
                offset: Hex(view.offset),
                before: frequent(before),
                after: frequent(after),
                moved,
                flipped: (0..8).filter(|bit| flipped >> bit & 1 == 1).collect(),
                elsewhere,
            })
        })
        .collect();
    changes.sort_by(|a, b| {
        a.elsewhere
            .total_cmp(&b.elsewhere)
            .then_with(|| b.flipped.len().cmp(&a.flipped.len()))
            .then_with(|| b.moved.total_cmp(&a.moved))
    });
    Some(changes)
}

/// Returns how far the mean moved from the rows before to those after.
#[expect(clippy::cast_precision_loss, reason = "bytes")]
fn moved(column: &[i64], rows: &[std::ops::Range<usize>; 2]) -> f64 {
    let mean = |rows: &std::ops::Range<usize>| {
        let values = column.get(rows.clone()).unwrap_or_default();
        values.iter().sum::<i64>() as f64 / values.len().max(1) as f64
    };
    let [before, after] = rows;
    (mean(after) - mean(before)).abs()
}

/// The bits that are always set, and those that never are.
fn steady(values: &[i64]) -> (u8, u8) {
    let bytes = values.iter().filter_map(|value| u8::try_from(*value).ok());
    bytes.fold((u8::MAX, u8::MAX), |(set, unset), byte| (set & byte, unset & !byte))
}

/// The most frequent value; of several, the least.
fn frequent(values: &[i64]) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    let longest = runs.rev().max_by_key(|run| run.len());
    longest.and_then(|run| run.first()).copied().unwrap_or(0)
}
