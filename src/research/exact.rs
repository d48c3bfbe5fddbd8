//! Words of a record that equal a series from outside, after a scale and a shift of whole records.
//!
//! Equality says more than correlation: a number that is the same as another minute after minute is
//! that number. Only minutes in which the series moved count, since a constant equals any constant.

use energi_decoders::Raw;
use serde::Serialize;

use super::View;
use super::correlate::named;
use super::metrics::KnownMetric;
use super::series::RecordSeries;

/// The share of the points that must be equal.
const SHARE: f64 = 0.95;

/// Points in which the series moved, at least.
const FEWEST: usize = 10;

/// Different values among them, at least.
const FEWEST_VALUES: usize = 5;

/// Shifts that are tried, in periods of the series, either way.
const MOST_SHIFT: i64 = 3;

/// Periods that a series may have: a year of minutes, twice.
const MOST_PERIODS: i64 = 1 << 20;

/// Number of places in a period of the series where its values may begin in the records: four
/// phases, so that one of them is far from every border.
const PHASES: i64 = 4;

/// Scales that are tried unless others are given: a raw number times one of them is the series.
pub const SCALES: [f64; 9] = [1.0, 60.0, 1.0 / 60.0, 10.0, 0.1, 100.0, 0.01, 1000.0, 0.001];

/// Ways to read a word, the likeliest first.
const WORDS: [Raw; 6] = [Raw::U16, Raw::I16, Raw::U32, Raw::I32, Raw::U8, Raw::I8];

/// A word that equals a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExactMatch {
    /// Place and type of the word.
    #[serde(flatten)]
    pub view: View,
    /// Name of the series.
    #[serde(rename = "key")]
    pub name: String,
    /// Raw number times this is the series.
    pub scale: f64,
    /// Number of periods that the record is later than the series.
    pub shift: i64,
    /// The share of equal points, of those in which the series moved.
    #[serde(rename = "equal")]
    pub share: f64,
    /// Number of these points.
    pub points: usize,
    /// The fields of the built-in decoders that share its bytes.
    #[serde(rename = "fields")]
    pub named: Vec<&'static str>,
}

/// Finds every word of the records that equals one of the series, the best first.
#[must_use]
pub fn search(
    series: &RecordSeries,
    references: &[KnownMetric],
    scales: &[f64],
) -> Vec<ExactMatch> {
    let mut found: Vec<ExactMatch> = Vec::new();
    let times = series.times();
    let references: Vec<_> = references
        .iter()
        .filter_map(Reference::new)
        .filter(|it| it.moved.len() >= FEWEST)
        .collect();
    for view in views(series.key.length) {
        let column = series.column(view);
        // The fields of one file have their times in common.
        let mut binned: Vec<(Periods, Vec<Bins>)> = Vec::new();
        for reference in &references {
            let periods = reference.periods;
            let place = binned.iter().position(|(other, _)| *other == periods);
            let place = place.unwrap_or_else(|| {
                let bins = (0..PHASES).map(|phase| Bins::new(&times, &column, periods, phase));
                binned.push((periods, bins.collect()));
                binned.len() - 1
            });
            let best = binned[place]
                .1
                .iter()
                .flat_map(|bins| matches(view, reference, bins, scales))
                .max_by(|a, b| {
                    let nearest = b.shift.abs().cmp(&a.shift.abs());
                    a.share.total_cmp(&b.share).then(nearest)
                });
            // The same number read another way from the same byte is the same finding.
            let known = |best: &ExactMatch| {
                found
                    .iter()
                    .any(|other| other.view.offset == best.view.offset && other.name == best.name)
            };
            if let Some(best) = best.filter(|best| !known(best)) {
                found.push(ExactMatch { named: named(&series.key, view), ..best });
            }
        }
    }
    found.sort_by(|a, b| {
        b.share.total_cmp(&a.share).then_with(|| a.view.offset.cmp(&b.view.offset))
    });
    found
}

fn views(length: u8) -> Vec<View> {
    let all: Vec<View> = View::numbers(length).collect();
    let ordered = WORDS.iter().flat_map(|raw| all.iter().filter(move |view| view.raw == *raw));
    ordered.copied().collect()
}

/// The periods of a series, by which its points are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Periods {
    /// Time of the first point, in µs.
    origin: i64,
    /// The time between two points, in µs.
    period: i64,
    /// The number of the last point.
    last: i64,
}

/// A series, and the value in each of its periods in which it moved.
struct Reference<'a> {
    name: &'a str,
    periods: Periods,
    moved: Vec<(i64, f64)>,
}

impl<'a> Reference<'a> {
    fn new(known: &'a KnownMetric) -> Option<Self> {
        let (origin, last) = (*known.times.first()?, *known.times.last()?);
        let period = known.interval.max(1);
        let number = |time: i64| (time - origin + period / 2).div_euclid(period);
        let mut moved = Vec::new();
        let mut before: Option<(i64, f64)> = None;
        for (time, value) in known.times.iter().zip(&known.values) {
            let number = number(*time);
            if before
                .is_none_or(|(last, old)| last + 1 == number && old.to_bits() != value.to_bits())
            {
                moved.push((number, *value));
            }
            before = Some((number, *value));
        }
        let periods = Periods { origin, period, last: number(last) };
        // Times without a rhythm have no periods to compare.
        (periods.last <= MOST_PERIODS).then_some(())?;
        Some(Self { name: &known.metric.key, periods, moved })
    }
}

/// The numbers of some periods, one after the other.
struct Bins {
    /// The first period.
    first: i64,
    numbers: Vec<Option<i64>>,
}

impl Bins {
    /// The most frequent number in each period, the phase later than the series's own. The times
    /// ascend. A period with fewer than half of the usual records has none: where records are
    /// missing, what is left may be of the next period.
    fn new(times: &[i64], column: &[i64], periods: Periods, phase: i64) -> Self {
        let Periods { origin, period, last } = periods;
        let origin = origin + phase * period / PHASES;
        let (from, to) = (-MOST_SHIFT, last + MOST_SHIFT);
        let numbers = vec![None; usize::try_from(to - from + 1).unwrap_or(0)];
        let mut bins = Self { first: from, numbers };
        let number = |time: i64| (time - origin).div_euclid(period);
        let begin = times.partition_point(|time| number(*time) < from);
        let end = times.partition_point(|time| number(*time) <= to);
        let chunks = || times[begin..end].chunk_by(|a, b| number(*a) == number(*b));
        let mut counts: Vec<usize> = chunks().map(<[i64]>::len).collect();
        counts.sort_unstable();
        let usual = counts.get(counts.len() / 2).copied().unwrap_or_default();
        let mut rest = begin;
        for bin in chunks() {
            let mut values = column.get(rest..rest + bin.len()).unwrap_or_default().to_vec();
            rest += bin.len();
            if 2 * bin.len() < usual {
                continue;
            }
            values.sort_unstable();
            let longest = values.chunk_by(|a, b| a == b).max_by_key(|run| run.len());
            let index = bin.first().and_then(|time| usize::try_from(number(*time) - from).ok());
            if let Some(slot) = index.and_then(|index| bins.numbers.get_mut(index)) {
                *slot = longest.and_then(|run| run.first()).copied();
            }
        }
        bins
    }

    fn get(&self, number: i64) -> Option<i64> {
        *self.numbers.get(usize::try_from(number - self.first).ok()?)?
    }
}

/// Every scale and shift at which the binned numbers equal the series.
fn matches(
    view: View,
    reference: &Reference<'_>,
    binned: &Bins,
    scales: &[f64],
) -> Vec<ExactMatch> {
    let mut found = Vec::new();
    for scale in scales {
        for shift in -MOST_SHIFT..=MOST_SHIFT {
            if let Some((share, points)) = equality(&reference.moved, binned, *scale, shift) {
                let name = reference.name.to_owned();
                found.push(ExactMatch {
                    view,
                    name,
                    scale: *scale,
                    shift,
                    share,
                    points,
                    named: Vec::new(),
                });
            }
        }
    }
    found
}

/// The share of equal points and their number, where it is enough.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "raw numbers have 32 bits, points are few"
)]
fn equality(moved: &[(i64, f64)], binned: &Bins, scale: f64, shift: i64) -> Option<(f64, usize)> {
    let most_misses = (moved.len() as f64 * (1.0 - SHARE)).floor() as usize + 1;
    let (mut points, mut hits, mut values) = (0_usize, 0_usize, Vec::new());
    for (number, value) in moved {
        let Some(raw) = binned.get(number + shift) else { continue };
        points += 1;
        let scaled = raw as f64 * scale;
        if (scaled - value).abs() <= 1e-9 * value.abs().max(1.0) {
            hits += 1;
            if values.len() < FEWEST_VALUES && !values.contains(&raw) {
                values.push(raw);
            }
        } else if points - hits > most_misses {
            return None;
        }
    }
    let share = hits as f64 / points.max(1) as f64;
    let enough = points >= FEWEST && share >= SHARE && values.len() >= FEWEST_VALUES;
    enough.then_some((share, points))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::thread;

    use energi_decoders::{Frame, Record};
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::capture::simulator::{EddiSnapshot, Household, Rate, Settings};
    use crate::research::outside;
    use crate::research::series::{Gathered, RecordSelection};

    const LENGTH: u8 = 0x36;
    const SEEDS: u64 = 20;

    /// A field of the cloud's history: its name, where the record has it, the cloud's number for one
    /// raw, and the raw number.
    type Field = (&'static str, &'static [u8], i32, fn(&EddiSnapshot) -> i32);

    const FIELDS: &[Field] = &[
        ("gep", &[0x30, 0x46], 60, |state| state.minute.generation.positive),
        ("v1", &[0x38], 1, |state| state.minute.voltage),
        ("frq", &[0x3A], 1, |state| state.minute.frequency),
        ("hsk", &[0x3C], 1, |state| state.minute.heatsink),
        ("pect1", &[0x3E], 60, |state| state.minute.divert.positive),
        ("pect2", &[0x42], 60, |state| state.minute.grid.positive),
        ("nect2", &[0x44], 60, |state| state.minute.grid.negative),
    ];

    /// `SplitMix64`.
    struct Random(u64);

    impl Random {
        /// One time in twenty.
        fn rarely(&mut self) -> bool {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)).is_multiple_of(20)
        }
    }

    /// Fault of a day's data.
    #[derive(Debug, Clone, Copy)]
    struct Damage {
        /// Seconds that the capture's clock is behind the cloud's.
        late: i64,
        /// One minute in twenty is missing in the cloud, and another one in the capture.
        gaps: bool,
    }

    /// Twelve hours of a simulated house: the minute histories that were captured, and the cloud's.
    fn house(seed: u64, damage: Damage) -> (RecordSeries, Vec<KnownMetric>) {
        let start: Timestamp = "2026-06-20T05:00:00Z".parse().unwrap();
        let end = start + SignedDuration::from_hours(12);
        let mut settings = Settings::new(start, TimeZone::get("Europe/London").unwrap());
        settings.seed = seed;
        settings.rates = vec![Rate { length: LENGTH, every: 2 }];
        let mut household = Household::new(settings);
        let mut gathered =
            Gathered::new(RecordSelection { length: LENGTH, record_type: None, source: None });
        let (mut random, mut rows) = (Random(seed), Vec::new());
        let (mut minute, mut captured) = (0, true);
        while let Some((time, frame)) = household.next_frame()
            && time < end
        {
            let frame = frame.to_vec();
            let shown = time.as_second().div_euclid(60) - 1;
            if shown != minute {
                minute = shown;
                captured = !(random.rarely() && damage.gaps);
                if !(random.rarely() && damage.gaps) {
                    rows.push(row(minute, household.device(0).unwrap()));
                }
            }
            let frame = Frame::parse(&frame).unwrap();
            let record: Record<'_> = frame.records().next().unwrap();
            if captured {
                let time = time + SignedDuration::from_secs(damage.late);
                gathered.add(&record, Some(time), frame.source());
            }
        }
        // The first minute was not simulated.
        let text = format!("{{\"U17589669\": [{}]}}", rows[1..].join(","));
        let series = outside::parse_cloud(&text).unwrap();
        let known = series
            .iter()
            .map(|series| KnownMetric::outside(series.name.clone(), &series.numbers().unwrap()));
        (gathered.most().unwrap().0, known.collect())
    }

    /// A minute since 1970 as the cloud has it, which leaves out what is zero.
    fn row(minute: i64, state: &EddiSnapshot) -> String {
        let time = Timestamp::from_second(minute * 60).unwrap().to_zoned(TimeZone::UTC);
        let mut row = format!(
            "\"yr\": {}, \"mon\": {}, \"dom\": {}, \"hr\": {}, \"min\": {}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute()
        );
        for (field, _, per, raw) in FIELDS {
            let value = raw(state) * per;
            if value > 0 {
                let _ = write!(row, ", \"{field}\": {value}");
            }
        }
        format!("{{{row}}}")
    }

    /// Runs `test` for every seed, on all processors.
    fn for_every_seed(test: impl Fn(u64) + Sync) {
        let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
        thread::scope(|scope| {
            for worker in 0..workers {
                let test = &test;
                scope.spawn(move || {
                    (0..SEEDS).filter(|seed| seed % workers == worker).for_each(test);
                });
            }
        });
    }

    fn exactly_the_planted_words_are_found(damage: Damage) {
        let mut expected: Vec<(u8, &str, String)> = FIELDS
            .iter()
            .flat_map(|(field, offsets, per, _)| {
                offsets.iter().map(|offset| (*offset, *field, per.to_string()))
            })
            .collect();
        expected.sort_unstable();
        for_every_seed(|seed| {
            let (series, known) = house(seed, damage);
            let found = search(&series, &known, &SCALES);
            let mut names: Vec<_> = found
                .iter()
                .map(|found| (found.view.offset, found.name.as_str(), found.scale.to_string()))
                .collect();
            names.sort_unstable();
            assert_eq!(names, expected, "seed {seed}, {damage:?}: {found:?}");
        });
    }

    #[test]
    fn the_words_of_a_minute_history_are_found() {
        exactly_the_planted_words_are_found(Damage { late: 0, gaps: false });
    }

    #[test]
    fn words_are_found_in_a_damaged_history() {
        exactly_the_planted_words_are_found(Damage { late: 40, gaps: true });
        exactly_the_planted_words_are_found(Damage { late: -40, gaps: true });
    }

    #[test]
    fn in_the_records_of_another_house_nothing_is_found() {
        for_every_seed(|seed| {
            let (series, _) = house(seed, Damage { late: 0, gaps: false });
            let (_, known) = house(1000 + seed, Damage { late: 0, gaps: false });
            assert_eq!(search(&series, &known, &SCALES), [], "seed {seed}");
        });
    }
}
