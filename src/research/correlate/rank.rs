//! Ranking of findings, and choice among readings that share bytes.

use super::fit::{Fit, MOST_ROWS};
use super::lag_search::Candidate;
use super::{Finding, named};
use crate::research::View;
use crate::research::record_types::RecordKey;
use crate::research::series::{RecordSeries, median_step};

/// Advantage in log-likelihood that a reading must have for each byte that it is wider.
const BYTE: f64 = 10.0;

/// Advantage for each digit of its scale: a field is rather two bytes / 100 than one byte / 100 +
/// 48.64.
const DIGIT: f64 = 6.0;

/// Lags between two of the search's that are tried for the line.
const FINER: i64 = 4;

/// The findings among `candidates`, the best first.
pub(super) fn best<'a>(candidates: Vec<Candidate<'a>>, series: &RecordSeries) -> Vec<Finding<'a>> {
    let sample = Sample::of(series);
    let mut fitted: Vec<_> =
        candidates.into_iter().filter_map(|candidate| sample.fit(candidate)).collect();
    // All compete over the same rows, so that one measure of them must do: the best line's.
    let evidence = fitted
        .iter()
        .filter_map(|fitted| fitted.fit)
        .max_by(|a, b| a.explained.total_cmp(&b.explained))
        .map_or(1.0, |fit| evidence(&fit));
    fitted.sort_by(|a, b| {
        a.badness(evidence)
            .total_cmp(&b.badness(evidence))
            .then_with(|| a.is_unnatural().cmp(&b.is_unnatural()))
            .then_with(|| a.lag.abs().cmp(&b.lag.abs()))
            .then_with(|| a.candidate.chance.total_cmp(&b.candidate.chance))
    });
    let mut findings: Vec<Finding<'a>> = Vec::new();
    for fitted in fitted {
        let view = fitted.candidate.view;
        match findings.iter_mut().find(|better| better.view.overlaps(view)) {
            Some(better) => {
                if better.view != view && !better.others.contains(&view) {
                    better.others.push(view);
                }
            }
            None => findings.push(fitted.finding(&series.key)),
        }
    }
    for finding in &mut findings {
        let column = series.column(finding.view);
        let begin_here = finding.others.iter().filter(|other| other.offset == finding.view.offset);
        finding.same =
            begin_here.copied().filter(|other| series.column(*other) == column).collect();
    }
    findings
}

/// Rows that tell something new.
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
fn evidence(fit: &Fit) -> f64 {
    fit.rows as f64 * fit.independent
}

/// Rows of a series, downsample to as many as a line needs.
struct Sample<'s> {
    series: &'s RecordSeries,
    times: Vec<i64>,
    every: usize,
    interval: i64,
}

/// A candidate with its line.
struct Fitted<'a> {
    candidate: Candidate<'a>,
    lag: i64,
    fit: Option<Fit>,
    explained: f64,
}

impl<'s> Sample<'s> {
    fn of(series: &'s RecordSeries) -> Self {
        let times = series.times();
        let every = times.len().div_ceil(MOST_ROWS).max(1);
        let interval = median_step(&times);
        Self { series, times: times.into_iter().step_by(every).collect(), every, interval }
    }

    fn column(&self, view: View) -> Vec<i64> {
        let read = view.reader();
        self.series.records().step_by(self.every).map(|(_, record)| read(&record)).collect()
    }

    fn fit<'a>(&self, candidate: Candidate<'a>) -> Option<Fitted<'a>> {
        let Candidate { known, lag, .. } = candidate;
        let column = self.column(candidate.view);
        if known.is_flag() {
            let explained = agreement(&column, &known.at(&self.times, lag));
            return Some(Fitted { candidate, lag, fit: None, explained });
        }
        let step = self.interval.min(known.interval) / FINER;
        let lags = (-FINER..=FINER).map(|index| lag + index * step);
        let fits = lags.filter_map(|lag| {
            Fit::new(&column, &known.at(&self.times, lag), known.resolution).map(|fit| (lag, fit))
        });
        let (lag, fit) =
            fits.min_by(|a, b| a.1.misfit.total_cmp(&b.1.misfit).then(a.0.abs().cmp(&b.0.abs())))?;
        Some(Fitted { candidate, lag, fit: Some(fit), explained: fit.explained })
    }
}

impl<'a> Fitted<'a> {
    /// Returns how badly it fits, for each row that tells something new, its width counted in.
    fn badness(&self, evidence: f64) -> f64 {
        let (misfit, digits) = match &self.fit {
            Some(fit) => (fit.misfit, fit.digits()),
            None => ((1.0 - self.explained).max(1e-9).ln(), 0),
        };
        let size = f64::from(self.candidate.view.raw.size());
        let price = BYTE * size + DIGIT * f64::from(digits);
        misfit + 2.0 * price / evidence.max(1.0)
    }

    /// Returns whether it is signed though its metric is never negative, or the other way round.
    fn is_unnatural(&self) -> bool {
        self.candidate.view.is_signed() != (self.candidate.known.metric.range.0 < 0.0)
    }

    fn finding(self, key: &RecordKey) -> Finding<'a> {
        let Candidate { view, known, chance, inverted, .. } = self.candidate;
        #[expect(clippy::cast_precision_loss, reason = "some minutes in µs")]
        let lag = self.lag as f64 / 1e6;
        Finding {
            view,
            known,
            lag,
            chance,
            fit: self.fit,
            explained: self.explained,
            inverted,
            others: Vec::new(),
            same: Vec::new(),
            named: named(key, view),
        }
    }
}

/// The squared correlation of a bit with a flag.
fn agreement(column: &[i64], known: &[f64]) -> f64 {
    let rows = column.iter().zip(known).filter(|(_, flag)| !flag.is_nan());
    let mut table = [[0.0_f64; 2]; 2];
    for (bit, flag) in rows {
        table[usize::from(*bit != 0)][usize::from(*flag != 0.0)] += 1.0;
    }
    let [[a, b], [c, d]] = table;
    let spread = (a + b) * (c + d) * (a + c) * (b + d);
    if spread > 0.0 { (a * d - b * c).powi(2) / spread } else { 0.0 }
}
