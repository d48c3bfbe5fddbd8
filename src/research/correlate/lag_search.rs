//! One metric, and how well readings go with it.

use super::SIGNIFICANT;
use super::blocks::{Blocks, Ranks};
use super::steps::Steps;
use crate::research::View;
use crate::research::metrics::KnownMetric;
use crate::research::series::{RecordSeries, median_step};

/// The number of lags that are tried, at most, but for that of zero.
const MOST_LAGS: i64 = 60;

/// The share of a field's own changes that must meet the metric's, where changes are rare.
const SHARE_MET: f64 = 0.5;

/// A reading, a metric and a lag that look better than the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) view: View,
    pub(super) known: &'a KnownMetric,
    pub(super) lag: i64,
    /// Expected number of equally good ones by chance.
    pub(super) chance: f64,
    pub(super) inverted: bool,
}

/// The lags to try, in µs.
pub(super) fn lags(times: &[i64], known: &KnownMetric, max_lag: i64) -> Vec<i64> {
    let finest = if known.is_flag() {
        known.interval.max(median_step(times))
    } else {
        known.interval.min(median_step(times))
    };
    let step = finest.max(2 * max_lag / MOST_LAGS).max(1);
    (-(max_lag / step)..=max_lag / step).map(|index| index * step).collect()
}

/// A metric, made ready to hold readings against it.
pub(super) struct LagSearch<'a, 't> {
    known: &'a KnownMetric,
    times: &'t [i64],
    interval: i64,
    lags: Vec<i64>,
    tries: f64,
    /// The metric's movements at each lag, quick and slow; none for a flag.
    movements: Vec<(Blocks, Vec<Ranks>)>,
    /// The metric's changes, where they are rare.
    steps: Option<Steps>,
}

impl<'a, 't> LagSearch<'a, 't> {
    pub(super) fn new(times: &'t [i64], known: &'a KnownMetric, max_lag: i64, tries: u64) -> Self {
        let lags = lags(times, known, max_lag);
        let scales =
            if known.is_flag() { Vec::new() } else { Blocks::scales(times, known.interval) };
        let ranked = |blocks: Blocks| {
            let ranks = lags.iter().map(|lag| blocks.ranks(&known.at(times, *lag))).collect();
            (blocks, ranks)
        };
        let movements = scales.into_iter().map(ranked).collect();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let tries = tries as f64;
        let steps = Steps::new(&known.times, &known.values, known.interval);
        Self { known, times, interval: median_step(times), lags, tries, movements, steps }
    }

    /// The reading at its best lag; `None` where it does not move with the metric at all.
    pub(super) fn judge(&self, view: View, series: &RecordSeries) -> Option<Candidate<'a>> {
        let column = series.column(view);
        #[expect(clippy::cast_precision_loss, reason = "32 bits")]
        let values: Vec<f64> = column.iter().map(|raw| *raw as f64).collect();
        let movements = self.movements.iter();
        let movements = movements
            .filter_map(|(blocks, ranks)| self.movement(view, &blocks.ranks(&values), ranks));
        let found: Vec<_> = movements.chain(self.changes(view, &values)).collect();
        // Each way to look at it was a try.
        #[expect(clippy::cast_precision_loss, reason = "three at most")]
        let ways = found.len() as f64;
        let best = found.into_iter().min_by(|a, b| a.chance.total_cmp(&b.chance))?;
        Some(Candidate { chance: best.chance * ways, ..best })
    }

    fn movement(&self, view: View, mine: &Ranks, known: &[Ranks]) -> Option<Candidate<'a>> {
        if mine.is_still() {
            return None;
        }
        let tried = known.iter().zip(&self.lags);
        let tried = tried.map(|(ranks, lag)| (mine.agreement(ranks, 0).abs(), ranks, *lag));
        let (mut agreement, ranks, lag) = tried.max_by(|a, b| a.0.total_cmp(&b.0))?;
        if self.chance(agreement) < SIGNIFICANT {
            agreement /= mine.chance(ranks).max(1.0);
        }
        let chance = self.chance(agreement);
        Some(Candidate { view, known: self.known, lag, chance, inverted: false })
    }

    /// Returns how many blocks of movements there are.
    pub(super) fn blocks(&self) -> usize {
        self.movements.iter().map(|(blocks, _)| blocks.len()).max().unwrap_or(0)
    }

    /// Returns how many of all tries agree so well by chance, at most.
    fn chance(&self, agreement: f64) -> f64 {
        self.tries * (2.0 * (-agreement * agreement / 2.0).exp()).min(1.0)
    }

    fn changes(&self, view: View, values: &[f64]) -> Option<Candidate<'a>> {
        let metric = self.steps.as_ref()?;
        let mine = Steps::new(self.times, values, self.interval)?;
        let tries = self.lags.iter().flat_map(|lag| [(*lag, false), (*lag, true)]);
        let met = tries.map(|(lag, inverted)| (mine.meet(metric, lag, inverted), lag, inverted));
        let (met, lag, inverted) = met
            .filter(|(met, ..)| met.share >= SHARE_MET && 2 * met.hits >= metric.len())
            .min_by(|a, b| {
                // Lags within the intervals meet the same changes: the smallest is meant.
                a.0.probability.total_cmp(&b.0.probability).then(a.1.abs().cmp(&b.1.abs()))
            })?;
        // Either direction was tried.
        let chance = |probability: f64| self.tries * (2.0 * probability).min(1.0);
        let mut probability = met.probability;
        if chance(probability) < SIGNIFICANT {
            probability = probability.max(mine.elsewhere(metric, lag, inverted, met.hits));
        }
        let chance = chance(probability);
        Some(Candidate { view, known: self.known, lag, chance, inverted })
    }
}
