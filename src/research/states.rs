//! Search for bits that follow a state that somebody noted, such as a mode or a priority.
//!
//! A state of several values is a flag in as many ways as its values can be parted in two; each way
//! is a flag that the bits are tried against, by when they change.

use std::collections::BTreeMap;

use energi_decoders::Raw;

use super::View;
use super::correlate::{self, SearchOutcome};
use super::metrics::KnownMetric;
use super::series::RecordSeries;

/// Values that a state may have: more can be parted in too many ways.
pub const MOST_VALUES: usize = 6;

/// The flags that a state can be taken for: for each set of its values whether it is among them.
/// Empty for fewer than two values, or more than [`MOST_VALUES`].
#[must_use]
pub fn flags(series: &RecordSeries, state: &[(i64, String)]) -> Vec<KnownMetric> {
    let values = values(state);
    if !(2..=MOST_VALUES).contains(&values.len()) {
        return Vec::new();
    }
    let at: Vec<(i64, usize)> = series
        .times()
        .into_iter()
        .filter_map(|time| {
            let value = value_at(state, time)?;
            Some((time, values.iter().position(|other| *other == value)?))
        })
        .collect();
    // The first value is never in the set: the other half of the sets is the same the other way.
    let sets = 1..1_u32 << (values.len() - 1);
    sets.map(|set| {
        let among = |value: usize| value > 0 && set >> (value - 1) & 1 == 1;
        let names: Vec<_> =
            values.iter().enumerate().filter(|(place, _)| among(*place)).map(|(_, v)| *v).collect();
        let points: Vec<_> =
            at.iter().map(|(time, value)| (*time, f64::from(u8::from(among(*value))))).collect();
        KnownMetric::flag(names.join(" or "), &points)
    })
    .collect()
}

/// The bits that go with one of the flags, beyond chance.
#[must_use]
pub fn search<'a>(
    series: &RecordSeries,
    flags: &'a [KnownMetric],
    max_lag: i64,
) -> SearchOutcome<'a> {
    correlate::among(series, View::bits(series.key.length), flags, max_lag)
}

/// Counts, for each value of the state, the records in which the bit is set, and those in which it
/// is not; the record is `lag` µs later than the state.
#[must_use]
pub fn table(
    series: &RecordSeries,
    view: View,
    state: &[(i64, String)],
    lag: i64,
) -> BTreeMap<String, [u64; 2]> {
    debug_assert!(matches!(view.raw, Raw::Bit(_)));
    let mut table = BTreeMap::<String, [u64; 2]>::new();
    for (time, bit) in series.times().into_iter().zip(series.column(view)) {
        if let Some(value) = value_at(state, time - lag) {
            let counts = table.entry(value.to_owned()).or_default();
            counts[usize::from(bit == 0)] += 1;
        }
    }
    table
}

/// The values in the order in which they come.
fn values(state: &[(i64, String)]) -> Vec<&str> {
    let mut values: Vec<&str> = Vec::new();
    for (_, value) in state {
        if !values.contains(&value.as_str()) {
            values.push(value);
        }
    }
    values
}

/// The value that holds at a time; `None` before the first.
fn value_at(state: &[(i64, String)], time: i64) -> Option<&str> {
    let next = state.partition_point(|(since, _)| *since <= time);
    state.get(next.checked_sub(1)?).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use energi_decoders::Record;
    use jiff::Timestamp;

    use super::*;
    use crate::research::series::{Gathered, RecordSelection};

    /// A record every 12 s for a day. A two-bit mode is at bits 3 and 4 of 0x25, shown 8 s late;
    /// bit 0 of 0x26 is a coin, and 0x27 a clock of its own.
    fn day(modes: &[(i64, &str)]) -> RecordSeries {
        let selection = RecordSelection { length: 0x20, record_type: None, source: None };
        let mut gathered = Gathered::new(selection);
        let state: Vec<_> = modes.iter().map(|(time, mode)| (*time, (*mode).to_owned())).collect();
        let mut coin = 1_u32;
        for row in 0..7200_i64 {
            let mut bytes = [0_u8; 0x20];
            bytes[..4].copy_from_slice(&[0x20, 0x53, 0x10, 0x35]);
            let time = row * 12_000_000;
            let mode = value_at(&state, time - 8_000_000).unwrap_or("stop");
            let code = ["stop", "fast", "eco", "eco+"].iter().position(|name| *name == mode);
            bytes[0x25 - 0x18] = u8::try_from(code.unwrap()).unwrap() << 3;
            coin ^= coin << 13;
            coin ^= coin >> 17;
            coin ^= coin << 5;
            bytes[0x26 - 0x18] = u8::from(coin & 0x8000 != 0);
            bytes[0x27 - 0x18] = u8::from(row / 100 % 2 == 0);
            let (record, _) = Record::split(&bytes).unwrap();
            gathered.add(&record, Some(Timestamp::from_microsecond(time).unwrap()), None);
        }
        gathered.most().unwrap().0
    }

    const MODES: [(i64, &str); 9] = [
        (0, "stop"),
        (7_211_000_000, "fast"),
        (12_347_000_000, "eco"),
        (19_993_000_000, "eco+"),
        (31_117_000_000, "stop"),
        (40_009_000_000, "eco"),
        (52_337_000_000, "fast"),
        (63_071_000_000, "eco+"),
        (74_441_000_000, "stop"),
    ];

    #[test]
    fn exactly_the_bits_of_a_mode_are_found() {
        let series = day(&MODES);
        let state: Vec<_> = MODES.iter().map(|(time, mode)| (*time, (*mode).to_owned())).collect();
        let flags = flags(&series, &state);
        assert_eq!(flags.len(), 7);
        let found = search(&series, &flags, 60_000_000).findings;
        let mut bits: Vec<_> =
            found.iter().map(|found| (found.view.offset, found.view.raw)).collect();
        bits.sort_unstable_by_key(|(offset, raw)| (*offset, format!("{raw:?}")));
        assert_eq!(bits, [(0x25, Raw::Bit(3)), (0x25, Raw::Bit(4))]);
        let low = View { offset: 0x25, raw: Raw::Bit(3) };
        let table = table(&series, low, &state, 12_000_000);
        let share = |value: &str| {
            let [ones, zeros] = table[value];
            #[expect(clippy::cast_precision_loss)]
            let share = ones as f64 / (ones + zeros) as f64;
            share
        };
        assert!(share("fast") > 0.99 && share("eco+") > 0.99, "{table:?}");
        assert!(share("stop") < 0.01 && share("eco") < 0.01, "{table:?}");
    }

    #[test]
    fn an_unrelated_state_finds_nothing() {
        let series = day(&MODES);
        let state: Vec<_> = [(3_000, "on"), (26_000, "off"), (45_500, "on"), (58_000, "off")]
            .map(|(second, value)| (second * 1_000_000, value.to_owned()))
            .to_vec();
        let flags = flags(&series, &state);
        assert_eq!(search(&series, &flags, 60_000_000).findings.len(), 0);
        assert_eq!(super::flags(&series, &state[..1]).len(), 0, "one value is no state");
    }
}
