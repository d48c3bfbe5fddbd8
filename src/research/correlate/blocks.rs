//! Test whether two series move together: rank correlation of their local movements, block by
//! block.
//!
//! See [`super`] for why it is done so.

use super::spread;
use crate::research::series::median_step;

/// Blocks that are looked at, evenly spread: more would not say more.
const MOST_BLOCKS: usize = 512;

/// Movements that are looked at in each block.
const MOST_MOVEMENTS: usize = 32;

/// A block lasts this long where movements are quick enough, in µs.
const BLOCK: i64 = 300_000_000;

/// Blocks that a capture is cut into at least, where movements are quick enough.
const FEWEST_BLOCKS: i64 = 200;

/// Slow movements last this long, in µs.
const SLOW: i64 = 24_000_000;

/// Shifts that show what chance does to two series.
const SHIFTS: usize = 40;

/// Movements of a series that are compared: disjoint blocks of rows without a gap.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// The first row of each block.
    starts: Vec<usize>,
    /// Rows from the centre of a movement to either of its ends.
    reach: usize,
    /// Movements in a block, and rows from one to the next.
    count: usize,
    stride: usize,
}

impl Blocks {
    /// Cuts rows at ascending `times` into blocks, for a metric said every `interval` µs: for its
    /// quickest movements, and for slower ones, which stand out where a field has noise of its own.
    pub(super) fn scales(times: &[i64], interval: i64) -> Vec<Self> {
        let quick = Self::new(times, interval);
        let slow = Self::new(times, SLOW);
        if slow.reach > quick.reach { vec![quick, slow] } else { vec![quick] }
    }

    /// Cuts rows at ascending `times` into blocks, for movements of so many µs at least.
    fn new(times: &[i64], movement: i64) -> Self {
        let step = median_step(times);
        let rows = |time: i64| usize::try_from(time / step).unwrap_or(usize::MAX);
        // A movement shorter than the metric's own interval would see straight lines only.
        let reach = rows(movement + step - 1).max(1);
        let span = times.last().zip(times.first()).map_or(0, |(last, first)| last - first);
        let size = rows(BLOCK.min(span / FEWEST_BLOCKS)).max(10 * reach);
        let centres = size - 2 * reach;
        let stride = centres.div_ceil(MOST_MOVEMENTS);
        let mut starts = Vec::new();
        let mut start = 0;
        for row in 1..=times.len() {
            let gap = row == times.len() || times[row] - times[row - 1] > 3 * step;
            if gap {
                start = row;
            } else if row + 1 - start == size {
                starts.push(start);
                start = row + 1;
            }
        }
        let every = starts.len().div_ceil(MOST_BLOCKS).max(1);
        let starts = starts.into_iter().step_by(every).collect();
        Self { starts, reach, count: centres / stride, stride }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The ranks of the movements of a series that has a value a row; NaN is no value.
    pub(super) fn ranks(&self, values: &[f64]) -> Ranks {
        let mut ranks = Ranks {
            count: self.count,
            places: Vec::with_capacity(self.len() * self.count),
            norms: Vec::with_capacity(self.len()),
        };
        let mut movements = Vec::with_capacity(self.count);
        let mut order = Vec::with_capacity(self.count);
        for start in &self.starts {
            movements.clear();
            movements.extend((0..self.count).map(|index| {
                let centre = start + self.reach + index * self.stride;
                2.0 * values[centre] - values[centre - self.reach] - values[centre + self.reach]
            }));
            ranks.push(&movements, &mut order);
        }
        ranks
    }
}

/// The ranks of movements within their blocks: centred, ties sharing their mean, and doubled so
/// that they are whole numbers.
#[derive(Debug, Clone)]
pub(super) struct Ranks {
    count: usize,
    /// Block after block.
    places: Vec<i16>,
    /// 1 / the length of each block's vector; 0 where nothing moves.
    norms: Vec<f64>,
}

impl Ranks {
    #[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "32 at most")]
    fn push(&mut self, movements: &[f64], order: &mut Vec<(f64, usize)>) {
        let begin = self.places.len();
        self.places.resize(begin + movements.len(), 0);
        if movements.iter().any(|movement| movement.is_nan()) {
            self.norms.push(0.0);
            return;
        }
        order.clear();
        order.extend(movements.iter().copied().zip(0..));
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let block = &mut self.places[begin..];
        let (mut first, mut squares) = (0, 0_i64);
        for ties in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let last = first + ties.len() - 1;
            let rank = (first + last) as i16 - (movements.len() - 1) as i16;
            for (_, index) in ties {
                block[*index] = rank;
            }
            squares += i64::from(rank).pow(2) * ties.len() as i64;
            first = last + 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        self.norms.push(if squares == 0 { 0.0 } else { (squares as f64).sqrt().recip() });
    }

    /// Returns whether no block moves at all.
    pub(super) fn is_still(&self) -> bool {
        self.norms.iter().all(|norm| *norm == 0.0)
    }

    /// Returns how far these movements go with `other`'s, `shift` blocks later: the sum of the
    /// blocks' rank correlations over the root of the sum of their squares.
    pub(super) fn agreement(&self, other: &Self, shift: usize) -> f64 {
        let shift = shift * self.count;
        let (early, late) = other.places.split_at(shift.min(other.places.len()));
        let (early_norms, late_norms) = other.norms.split_at(shift / self.count.max(1));
        let others = late.chunks_exact(self.count).chain(early.chunks_exact(self.count));
        let other_norms = late_norms.iter().chain(early_norms);
        let (mut sum, mut squares) = (0.0, 0.0);
        let blocks = self.places.chunks_exact(self.count).zip(&self.norms);
        for ((mine, norm), (theirs, other_norm)) in blocks.zip(others.zip(other_norms)) {
            let norm = norm * other_norm;
            if norm > 0.0 {
                let product: i32 =
                    mine.iter().zip(theirs).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                let correlation = f64::from(product) * norm;
                sum += correlation;
                squares += correlation * correlation;
            }
        }
        if squares > 0.0 { sum / f64::sqrt(squares) } else { 0.0 }
    }

    /// Returns what [`Ranks::agreement`] comes to at times that do not belong together, as a root
    /// mean square: 1 for series whose blocks are independent, more where they are not.
    pub(super) fn chance(&self, other: &Self) -> f64 {
        // Neighbouring blocks may belong together.
        const NEAR: usize = 2;
        let blocks = self.norms.len();
        if blocks <= 4 * NEAR {
            return 1.0;
        }
        let squares: f64 = (0..SHIFTS)
            .map(|index| self.agreement(other, shift(index, blocks, NEAR)).powi(2))
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let mean = squares / SHIFTS as f64;
        mean.sqrt()
    }
}

/// Shifts by whole blocks, `near` at least.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to the number of blocks"
)]
fn shift(index: usize, blocks: usize, near: usize) -> usize {
    near + (spread::place(index) * (blocks - 2 * near) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row every 12 s for a day.
    fn times() -> Vec<i64> {
        (0..7200).map(|row| row * 12_000_000).collect()
    }

    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut random = crate::research::correlate::tests::noise::Random::new(seed);
        move || random.unit()
    }

    fn walk(seed: u64) -> Vec<f64> {
        let mut noise = noise(seed);
        let mut level = 0.0;
        times()
            .iter()
            .map(|_| {
                level += (noise() - 0.5) * 10.0;
                level
            })
            .collect()
    }

    #[test]
    fn a_gap_belongs_to_no_block() {
        let mut times = times();
        for time in &mut times[1000..] {
            *time += 3_600_000_000;
        }
        let blocks = Blocks::new(&times, 2_000_000);
        assert!(blocks.starts.iter().all(|start| !(1000 - 24..1000).contains(start)));
        assert!(blocks.len() > 280, "{}", blocks.len());
    }

    #[test]
    fn independent_walks_do_not_agree() {
        let blocks = Blocks::new(&times(), 2_000_000);
        let ranks: Vec<_> = (0..40).map(|seed| blocks.ranks(&walk(seed))).collect();
        let mut squares = Vec::new();
        for pair in ranks.windows(2) {
            squares.push(pair[0].agreement(&pair[1], 0).powi(2));
            assert!(pair[0].chance(&pair[1]) < 1.5);
        }
        #[expect(clippy::cast_precision_loss)]
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        assert!((0.4..1.8).contains(&mean), "{mean}");
    }

    #[test]
    fn a_walk_agrees_with_its_distorted_copy() {
        let blocks = Blocks::new(&times(), 2_000_000);
        let (walk, mut noise) = (walk(1), noise(2));
        let copy: Vec<f64> = walk
            .iter()
            .map(|value| {
                let spike = if noise() < 0.02 { 30_000.0 } else { 0.0 };
                (value / -7.0).round() + spike
            })
            .collect();
        let agreement = blocks.ranks(&walk).agreement(&blocks.ranks(&copy), 0);
        assert!(agreement < -14.0, "{agreement}");
    }

    #[test]
    fn a_rhythm_shared_by_chance_shows_at_other_times() {
        // The same shape in every block of 25 rows, with a little of each series' own.
        let shape = |seed: u64| -> Vec<f64> {
            let mut noise = noise(seed);
            (0..7200).map(|row| f64::from((row % 25 % 7) * (row % 25 % 3)) + noise()).collect()
        };
        let blocks = Blocks::new(&times(), 2_000_000);
        let (one, other) = (blocks.ranks(&shape(1)), blocks.ranks(&shape(2)));
        let agreement = one.agreement(&other, 0);
        assert!(agreement > 10.0, "{agreement}");
        assert!(agreement / one.chance(&other) < 1.5);
    }
}
