//! The straight line that leads from a raw number to a metric, as value = raw / divide + add.

use serde::Serialize;

use super::rounding;

/// Rows that a line is drawn through, at most.
pub(super) const MOST_ROWS: usize = 20_000;

/// Rows that a line is drawn through, at least.
const FEWEST_ROWS: usize = 10;

/// Parts of the capture that are left out in turn to see how firm the line is.
const PARTS: usize = 20;

/// A straight line between a raw number and a metric, drawn so that transient zeros and wild values do not
/// bend it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// Divisor of the raw number: the simplest that the fit supports.
    pub divide: f64,
    /// Number to add then.
    pub add: f64,
    /// The fitted divisor.
    pub fitted_divide: f64,
    /// The standard error.
    pub divide_error: f64,
    /// The fitted summand.
    pub fitted_add: f64,
    /// The standard error.
    pub add_error: f64,
    /// The share of the metric's variance that the line explains, outliers left out.
    pub explained: f64,
    /// The share of rows that are no outliers.
    pub kept: f64,
    /// Miss of the line, for comparing lines through the same rows: the logarithm of the mean
    /// squared miss of all rows but the worst, over the metric's variance.
    #[serde(skip)]
    pub(super) misfit: f64,
    /// Rows that tell something new, as a share of all: neighbouring residuals resemble each other.
    #[serde(skip)]
    pub(super) independent: f64,
    /// Number of rows that were looked at.
    #[serde(skip)]
    pub(super) rows: usize,
}

impl Fit {
    /// Draws the line to a metric that is told in steps of `resolution`; `None` where there is too
    /// little to draw it through.
    #[expect(clippy::cast_precision_loss, reason = "raw numbers have 32 bits, rows are few")]
    pub(super) fn new(raw: &[i64], known: &[f64], resolution: f64) -> Option<Self> {
        let rows: Vec<(f64, f64)> = raw
            .iter()
            .zip(known)
            .filter(|(_, value)| !value.is_nan())
            .map(|(raw, value)| (*raw as f64, *value))
            .collect();
        let mut kept = without_wild(&rows)?;
        for _ in 0..3 {
            let line = Sums::of(&kept).line()?;
            kept = near(&kept, line);
        }
        let sums = Sums::of(&kept);
        let (slope, start) = sums.line().filter(|(slope, _)| *slope != 0.0)?;
        let residuals: Vec<f64> = kept.iter().map(|(x, y)| y - start - slope * x).collect();
        let unexplained: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let variance = sums.yy - sums.y * sums.y / sums.n;
        if kept.len() < FEWEST_ROWS || variance <= 0.0 {
            return None;
        }
        let explained = (1.0 - unexplained / variance).clamp(0.0, 1.0);
        let (slope_error, start_error) = jackknife(&kept, &sums);
        let (divide_error, fitted_divide) = (slope_error / (slope * slope), slope.recip());
        // All of what is not explained may be an error of the raw number, which flattens the line;
        // and rounding may tilt it by half a step over the spread of the raw numbers.
        let spread = ((sums.xx - sums.x * sums.x / sums.n) / sums.n).sqrt();
        let tilt = (0.5 / spread).min(0.5);
        let steepest = (slope.abs() / explained.max(0.5)) * (1.0 + tilt) + 3.0 * slope_error;
        let flattest = slope.abs() * (1.0 - tilt) - 3.0 * slope_error;
        let flattest = flattest.max(slope.abs() * 0.1);
        let divide = rounding::divide(fitted_divide, steepest.recip()..=flattest.recip());
        let add = (sums.y - sums.x / divide) / sums.n;
        // Half a step: devices round, or cut off.
        let tolerance = 3.0 * start_error + 0.51 / divide.abs();
        Some(Self {
            divide,
            add: rounding::add(add, tolerance),
            fitted_divide,
            divide_error,
            fitted_add: start,
            add_error: start_error,
            explained,
            kept: kept.len() as f64 / rows.len() as f64,
            misfit: misfit(&rows, (slope, start), resolution),
            independent: independent(&residuals),
            rows: rows.len(),
        })
    }

    /// Returns how many digits it takes to write the scale down, a fraction as one.
    pub(super) fn digits(&self) -> u8 {
        let divide = rounding::digits(self.divide).min(rounding::digits(self.divide.recip()));
        divide.saturating_add(rounding::digits(self.add))
    }
}

/// Rows whose raw number is not absurdly far from what the metric lets expect: what the gate let
/// through has no wild values, so that the raw number is first told from it, by the median
/// of the slopes between many pairs of rows, the more a pair counts the further the metric moved.
fn without_wild(rows: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    const PAIRS: usize = 1000;
    let every = rows.len().div_ceil(PAIRS).max(1);
    let mut slopes: Vec<(f64, f64)> = [2, 3, 5]
        .iter()
        .flat_map(|part| {
            let apart = rows.len() / part;
            let others = rows.iter().cycle().skip(apart);
            rows.iter()
                .zip(others)
                .step_by(every)
                .map(|(one, other)| (other.0 - one.0, other.1 - one.1))
        })
        .filter(|(_, known)| *known != 0.0)
        .map(|(raw, known)| (raw / known, known.abs()))
        .collect();
    slopes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = slopes.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let (slope, _) = slopes.iter().find(|(_, weight)| {
        sum += weight;
        sum >= half
    })?;
    let start = quantile(rows.iter().map(|(raw, known)| raw - slope * known), 0.5)?;
    let miss = |(raw, known): &(f64, f64)| (raw - start - slope * known).abs();
    // Not the median: a heater that is off all night fits any line all night.
    let usual = quantile(rows.iter().map(miss), 0.9)?.max(1.0);
    Some(rows.iter().filter(|row| miss(row) <= 3.0 * usual).copied().collect())
}

/// Rows that are not absurdly far from the line.
fn near(rows: &[(f64, f64)], (slope, start): (f64, f64)) -> Vec<(f64, f64)> {
    let miss = |(x, y): &(f64, f64)| (y - start - slope * x).abs();
    let usual = quantile(rows.iter().map(miss), 0.9).unwrap_or(0.0).max(slope.abs());
    rows.iter().filter(|row| miss(row) <= 3.0 * usual).copied().collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    let place = (values.len() as f64 * share) as usize;
    if place >= values.len() {
        return None;
    }
    Some(*values.select_nth_unstable_by(place, f64::total_cmp).1)
}

/// See [`Fit::misfit`]. What lies below the metric's own resolution is not told apart.
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
fn misfit(rows: &[(f64, f64)], (slope, start): (f64, f64), resolution: f64) -> f64 {
    let mut squares: Vec<f64> = rows.iter().map(|(x, y)| (y - start - slope * x).powi(2)).collect();
    squares.sort_unstable_by(f64::total_cmp);
    // Transient zeros and wild values are some 2 % of some records.
    squares.truncate(squares.len() * 97 / 100);
    let sums = Sums::of(rows);
    let variance = sums.yy / sums.n - (sums.y / sums.n).powi(2);
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    ((mean + resolution * resolution / 12.0) / variance).ln()
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn of(rows: &[(f64, f64)]) -> Self {
        rows.iter().fold(Self::default(), |sums, (x, y)| Self {
            n: sums.n + 1.0,
            x: sums.x + x,
            y: sums.y + y,
            xx: sums.xx + x * x,
            xy: sums.xy + x * y,
            yy: sums.yy + y * y,
        })
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            n: self.n - other.n,
            x: self.x - other.x,
            y: self.y - other.y,
            xx: self.xx - other.xx,
            xy: self.xy - other.xy,
            yy: self.yy - other.yy,
        }
    }

    /// Slope and start of the line of least squares.
    fn line(&self) -> Option<(f64, f64)> {
        let spread = self.xx - self.x * self.x / self.n;
        if self.n < 2.0 || spread <= self.xx * 1e-14 {
            return None;
        }
        let slope = (self.xy - self.x * self.y / self.n) / spread;
        Some((slope, (self.y - slope * self.x) / self.n))
    }
}

/// Standard errors of slope and start: by how much they change as each part of the capture is left
/// out in turn, which holds for residuals that resemble their neighbours too.
#[expect(clippy::cast_precision_loss, reason = "20 parts")]
fn jackknife(rows: &[(f64, f64)], whole: &Sums) -> (f64, f64) {
    let lines: Vec<(f64, f64)> = rows
        .chunks(rows.len().div_ceil(PARTS))
        .filter_map(|part| whole.without(&Sums::of(part)).line())
        .collect();
    let n = lines.len().max(2) as f64;
    let error = |pick: fn(&(f64, f64)) -> f64| {
        let mean = lines.iter().map(pick).sum::<f64>() / n;
        let squares: f64 = lines.iter().map(|line| (pick(line) - mean).powi(2)).sum();
        (squares * (n - 1.0) / n).sqrt()
    };
    (error(|line| line.0), error(|line| line.1))
}

/// The share of residuals that tell something new, by their autocorrelation up to where it ends.
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
fn independent(residuals: &[f64]) -> f64 {
    const FARTHEST: usize = 50;
    let square: f64 = residuals.iter().map(|residual| residual * residual).sum();
    if square == 0.0 {
        return 1.0;
    }
    let correlation = |lag: usize| {
        let later = residuals.get(lag..).unwrap_or_default();
        later.iter().zip(residuals).map(|(a, b)| a * b).sum::<f64>() / square
    };
    let sum: f64 = (1..FARTHEST).map(correlation).take_while(|rho| *rho > 0.0).sum();
    (1.0 / (1.0 + 2.0 * sum)).max(1.0 / residuals.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::correlate::tests::noise::Random;

    /// A metric that wanders, and the raw number of it that a device would send.
    #[expect(clippy::cast_possible_truncation)]
    fn sent(divide: f64, add: f64, seed: u64) -> (Vec<i64>, Vec<f64>) {
        let mut random = Random::new(seed);
        let mut level = 500.0;
        let known: Vec<f64> = (0..7000)
            .map(|_| {
                level = (level + (random.unit() - 0.5) * 100.0).clamp(-300.0, 3000.0);
                level
            })
            .collect();
        let raw = known.iter().map(|value| ((value - add) * divide).round() as i64).collect();
        (raw, known)
    }

    #[test]
    fn a_line_is_found_in_round_numbers() {
        for (seed, (divide, add)) in [
            (10.0, 0.0),
            (1.0, -40.0),
            (1.0 / 60.0, 0.0),
            (100.0, 20.0),
            (-2.0, 0.0),
            (0.5, 0.0),
            (256.0, 0.0),
        ]
        .into_iter()
        .enumerate()
        {
            let (raw, known) = sent(divide, add, seed as u64);
            let fit = Fit::new(&raw, &known, 0.1).unwrap();
            assert!((fit.divide / divide - 1.0).abs() < 1e-12, "{divide}: {fit:?}");
            assert!((fit.add - add).abs() < 1e-9, "{add}: {fit:?}");
            assert!(fit.explained > 0.999, "{fit:?}");
        }
    }

    #[test]
    fn a_scale_that_is_not_round_stays_as_it_was_fitted() {
        let (raw, known) = sent(7.3731, 0.0, 3);
        let fit = Fit::new(&raw, &known, 0.1).unwrap();
        assert!((fit.divide - 7.3731).abs() < 0.01, "{fit:?}");
    }

    #[test]
    fn impossible_values_do_not_bend_the_line() {
        let (mut raw, known) = sent(10.0, 0.0, 4);
        for row in (0..raw.len()).step_by(97) {
            raw[row] = if row % 2 == 0 { 0 } else { 2_000_000 };
        }
        let fit = Fit::new(&raw, &known, 0.1).unwrap();
        assert!((fit.divide - 10.0).abs() < 1e-9 && fit.explained > 0.999, "{fit:?}");
        assert!(fit.kept < 0.9999);
    }

    #[test]
    fn what_does_not_change_has_no_line() {
        assert_eq!(Fit::new(&[5; 100], &[1.0; 100], 1.0), None);
        assert_eq!(Fit::new(&[1, 2, 3], &[1.0, 2.0, 3.0], 1.0), None);
    }
}
