//! Search for bytes of an unknown record that follow a known metric.
//!
//! Each way to read a number at each offset is held against each metric at each lag: tens of thousands
//! of tries, of which some look good by chance alone. Two things make it worse. Household series
//! have long memories: any two random walks, and any two quantities that rise in the morning and
//! fall at night, correlate strongly without knowing of each other. And a few large steps or wild
//! values can make a correlation by themselves. So the level of a series is not asked whether
//! there is a connection, only what the connection is.
//!
//! # Whether: movements, block by block
//!
//! 1. *Movements.* Each series is replaced by its second difference, 2 v(t) - v(t-h) - v(t+h), where h
//!    is the larger of the record's and the metric's interval, and then once more 24 s where that
//!    is more, for fields with noise of their own. What is smooth over a few intervals (the hour
//!    of the day, a counter, a trend) vanishes; a random walk becomes noise.
//! 2. *Blocks.* Time is cut into disjoint blocks of some minutes. In each block the movements of both
//!    are ranked, ties sharing their mean, and the rank correlation is taken: however wild a
//!    value, it weighs no more than a rank, and however restless an hour, it weighs no more than
//!    its blocks.
//! 3. *One number.* t = sum of the blocks' correlations / root of the sum of their squares. If the
//!    series know nothing of each other, each correlation is as likely positive as negative, and
//!    whatever its distribution, P(|t| >= u) <= 2 exp(-u^2 / 2) by Hoeffding's inequality, used on
//!    the signs. No normal distribution is assumed, and a single coincidence gives t = 1 at most.
//! 4. *Calibration.* The same is worked out with the metric shifted by 40 amounts of many blocks,
//!    where nothing can belong together. Should t be larger there than independent
//!    blocks allow (a rhythm that both keep, a daily shape that survived step 1), t is divided by the
//!    root mean square found there.
//! 5. *All tries count.* The chance shown is the expected number of candidates in the whole search
//!    that are at least as good by chance: the bound times the number of tries (Bonferroni), which
//!    holds however the tries depend on each other. Below [`SIGNIFICANT`] a candidate is a finding.
//!
//! # Whether: changes at the same moments
//!
//! A flag, or a rating that changes ten times a day, has no movements to rank. There, it is asked how
//! many of the metric's changes are met by a change of the bit in the right direction at the same moment,
//! within the two intervals, and how likely as many are met by chance: each change has the
//! chance that the bit's own rate of changes gives it, on the whole or within half an hour, whichever
//! is more, and the number met is a Poisson binomial variable, whose tail is worked out exactly or
//! bounded. The chance counts all tries, as above. Two clocks of one period meet always or never,
//! so the same is counted with the metric shifted by 200 amounts: the share of them at which nearly
//! as many changes meet is the least that chance is taken for.
//!
//! # What: a line through the levels
//!
//! For findings only, the metric is fitted as raw / divide + add by least squares at a lag refined
//! below the interval; values far outside the bulk and rows far off the line are left out,
//! and their share is told. Errors come from leaving out each twentieth of the capture in turn. A round divisor
//! is given where it lies within three errors of the fit, widened by what errors of the raw number
//! may have flattened.
//!
//! # Which: overlapping readings
//!
//! A true field shows in many readings that share its bytes: its high byte, wider types, odd
//! offsets. The one that leaves least unexplained is taken, and a wider one only if its
//! additional byte improves the fit beyond doubt (10 units of log-likelihood for each byte, of
//! rows that tell something new) or saves digits of the scale (6 for each digit: 50 Hz are
//! rather two bytes / 100 than one byte / 100 + 48.64 whose neighbour never changes). Equal
//! readings: signed for metrics that can be negative; the smaller lag. The others are told as its
//! other readings.
//!
//! # What it cannot do
//!
//! Related metrics follow each other, so a field that is one of them is a finding with the others
//! too, with a worse fit: search with all, and believe the best. A field that only shares the day's
//! shape with a metric is not found, by design: one day cannot tell it from any other smooth
//! curve. A flag that changed twice is hardly told from chance; use it more often.

mod blocks;
mod fit;
mod lag_search;
mod rank;
mod rounding;
mod spread;
mod steps;

use energi_decoders::{Field, Raw, packets};

pub use self::fit::Fit;
use self::lag_search::{LagSearch, lags};
use super::View;
use super::metrics::KnownMetric;
use super::record_types::RecordKey;
use super::series::RecordSeries;

/// A candidate is a finding if fewer than this are expected by chance in the whole search.
pub const SIGNIFICANT: f64 = 0.01;

/// A reading that follows a metric.
#[derive(Debug, Clone)]
pub struct Finding<'a> {
    /// Place and type of the number.
    pub view: View,
    /// Metric that the field follows.
    pub known: &'a KnownMetric,
    /// Delay after the metric, in s.
    pub lag: f64,
    /// Number of candidates as good as this that are expected by chance in the whole search.
    pub chance: f64,
    /// The line from raw number to metric; none for bits.
    pub fit: Option<Fit>,
    /// The share of the metric's variance that it explains.
    pub explained: f64,
    /// True if a set bit stands for an absent flag.
    pub inverted: bool,
    /// Readings of the same bytes that were set aside for this one.
    pub others: Vec<View>,
    /// Views among them that begin at the same byte and read the very same numbers.
    pub same: Vec<View>,
    /// The fields of the built-in decoders that share its bytes.
    pub named: Vec<&'static str>,
}

/// Result of a search.
#[derive(Debug, Clone)]
pub struct SearchOutcome<'a> {
    /// Number of combinations of reading, metric and lag that were tried.
    pub tries: u64,
    /// Number of blocks of movements in the capture.
    pub blocks: usize,
    /// Findings beyond chance, the best first.
    pub findings: Vec<Finding<'a>>,
    /// The best of what does not, with the number of equals expected by chance.
    pub runner_up: Option<RunnerUp>,
}

/// The best of what is not significant.
#[derive(Debug, Clone)]
pub struct RunnerUp {
    /// The reading.
    pub view: View,
    /// The metric's key.
    pub key: String,
    /// Expected number of equally good ones by chance.
    pub chance: f64,
}

/// Holds every reading of `series` against every one of `metrics`, up to `max_lag` µs earlier or later.
#[must_use]
pub fn search<'a>(
    series: &RecordSeries,
    metrics: &'a [KnownMetric],
    max_lag: i64,
) -> SearchOutcome<'a> {
    let length = series.key.length;
    among(series, View::numbers(length).chain(View::bits(length)), metrics, max_lag)
}

/// Holds `views` of `series` against every one of `metrics`: bits against flags, numbers against
/// the others.
#[must_use]
pub fn among<'a>(
    series: &RecordSeries,
    views: impl Iterator<Item = View>,
    metrics: &'a [KnownMetric],
    max_lag: i64,
) -> SearchOutcome<'a> {
    let times = series.times();
    let (bits, numbers): (Vec<_>, Vec<_>) =
        moving(series, views).into_iter().partition(|view| matches!(view.raw, Raw::Bit(_)));
    let views = |known: &KnownMetric| if known.is_flag() { &bits } else { &numbers };
    let tries = metrics.iter().map(|known| views(known).len() * lags(&times, known, max_lag).len());
    let tries = tries.sum::<usize>() as u64;
    let mut candidates = Vec::new();
    let mut blocks = 0;
    for known in metrics {
        let against = LagSearch::new(&times, known, max_lag, tries);
        blocks = blocks.max(against.blocks());
        candidates.extend(views(known).iter().filter_map(|view| against.judge(*view, series)));
    }
    let (significant, rest): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.chance < SIGNIFICANT);
    let runner_up = rest.iter().min_by(|a, b| a.chance.total_cmp(&b.chance));
    SearchOutcome {
        tries,
        blocks,
        findings: rank::best(significant, series),
        runner_up: runner_up.map(|candidate| RunnerUp {
            view: candidate.view,
            key: candidate.known.metric.key.to_string(),
            chance: candidate.chance,
        }),
    }
}

/// The views that do not read the same number always.
fn moving(series: &RecordSeries, views: impl Iterator<Item = View>) -> Vec<View> {
    let moves = |view: &View| {
        let read = view.reader();
        let mut numbers = series.records().map(|(_, record)| read(&record));
        let first = numbers.next();
        numbers.any(|number| Some(number) != first)
    };
    views.filter(moves).collect()
}

/// The built-in fields, confirmed or not, that share bytes with a view of a kind of record.
#[must_use]
pub fn named(key: &RecordKey, view: View) -> Vec<&'static str> {
    let layout = packets::reader(key.length, key.record_type, None).layout();
    let fields = layout.map(|layout| layout.fields.iter().filter(|field| field.entry.is_none()));
    let shares = |field: &&Field| view.overlaps(View { offset: field.offset, raw: field.raw });
    fields.into_iter().flatten().filter(shares).map(Field::key).collect()
}

#[cfg(test)]
mod tests;
