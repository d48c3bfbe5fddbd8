//! Minute sums and quarter-hour energies: pure functions of the samples around them.
//!
//! All times are microseconds since 1970 UTC, energies are milliwatt-hours.

use super::metrics::{GENERATION, GRID, SLOTS};
use crate::energy::{Flows, HOLD, held, milliwatt_hours};

/// A minute in microseconds.
pub(in crate::sqlite) const MINUTE: i64 = 60_000_000;

/// A quarter of an hour in microseconds. Local days begin and end on its borders in every time
/// zone of our days.
pub(in crate::sqlite) const QUARTER: i64 = 15 * MINUTE;

/// Values of the confirmed metrics in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) struct Sample {
    /// Start of the minute.
    pub(in crate::sqlite) time: i64,
    /// Raw numbers; `None` where the record does not have the metric or it was withheld.
    pub(in crate::sqlite) raw: [Option<i32>; SLOTS],
}

/// The confirmed metrics over a minute: sums of raw numbers, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sqlite) struct MinuteSums {
    /// The sums of raw numbers.
    pub(in crate::sqlite) sum: [i64; SLOTS],
    /// Number of values in each sum.
    pub(in crate::sqlite) count: Counts,
}

/// Number of values that a minute has of each metric.
pub(in crate::sqlite) type Counts = [u32; SLOTS];

/// The samples of `start..end` among `samples`, which are sorted by time.
pub(in crate::sqlite) fn between(samples: &[Sample], start: i64, end: i64) -> &[Sample] {
    let first = samples.partition_point(|sample| sample.time < start);
    let past = samples.partition_point(|sample| sample.time < end);
    samples.get(first..past).unwrap_or_default()
}

/// Sums up the samples of one minute.
pub(in crate::sqlite) fn minute(samples: &[Sample]) -> MinuteSums {
    let mut sums = MinuteSums::default();
    for sample in samples {
        for (slot, raw) in sample.raw.iter().enumerate() {
            if let Some(raw) = raw {
                sums.sum[slot] += i64::from(*raw);
                sums.count[slot] += 1;
            }
        }
    }
    sums
}

/// Energy of a quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sqlite) struct QuarterEnergy {
    /// Taken from the grid.
    pub(in crate::sqlite) import: i64,
    /// Given to the grid.
    pub(in crate::sqlite) export: i64,
    /// Generated; what an inverter draws at night counts as nothing.
    pub(in crate::sqlite) generation: i64,
    /// Grid power readings inside the quarter. One from before it may reach into it.
    pub(in crate::sqlite) grid_readings: u32,
    /// Generation power readings inside the quarter.
    pub(in crate::sqlite) generation_readings: u32,
}

impl QuarterEnergy {
    /// Readings inside the quarter, of both powers.
    pub(in crate::sqlite) const fn readings(&self) -> u64 {
        self.grid_readings as u64 + self.generation_readings as u64
    }
}

/// A part of a quarter: its energy as far as some of the readings tell.
///
/// Readings that a retention removed before their neighbours came make a part of their own. The
/// quarter is the sum of its parts, none of which overlaps another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) struct Part {
    /// The first power reading, from the quarter's start; before it where that one reaches into it.
    pub(in crate::sqlite) first: i64,
    /// The last power reading, from the quarter's start.
    pub(in crate::sqlite) last: i64,
    /// Energy.
    pub(in crate::sqlite) energy: QuarterEnergy,
    /// Grid and generation power of the last reading, in watts.
    pub(in crate::sqlite) last_powers: [Option<i64>; 2],
}

impl Part {
    /// Returns whether this and `other` have times in common.
    pub(in crate::sqlite) const fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Takes back what the last reading was held for too long: until `before`, when it holds only
    /// until `now`. Both are from the quarter's start.
    pub(in crate::sqlite) fn end_hold(&mut self, before: i64, now: i64) {
        let [grid, generation] = self.last_powers.map(Option::unwrap_or_default);
        let energy_held = |watts: i64, next: i64| {
            milliwatt_hours(watts * held(self.last, Some(next), &(0..QUARTER)))
        };
        // Each held energy is rounded by itself: where the next part begins elsewhere again, the
        // sum is as if it had always been so.
        let change = |watts: i64| energy_held(watts, now) - energy_held(watts, before);
        let (grid_change, generation_change) = (change(grid.abs()), change(generation.max(0)));
        let energy = &mut self.energy;
        *(if grid < 0 { &mut energy.export } else { &mut energy.import }) += grid_change;
        energy.generation += generation_change;
    }
}

/// The part of the quarter that begins at `start`, from the samples of [`reach`], sorted by time: a
/// power holds until the next reading of it, at most [`HOLD`]. `None` where no sample has a power.
pub(in crate::sqlite) fn quarter(start: i64, samples: &[Sample]) -> Option<Part> {
    let has_power = |sample: &&Sample| sample.raw[GRID].or(sample.raw[GENERATION]).is_some();
    let first = samples.iter().find(has_power)?;
    let last = samples.iter().rfind(has_power)?;
    let end = start + QUARTER;
    let mut flows = Flows::default();
    let grid_readings =
        hold(start..end, samples, GRID, |watts, micros| flows.add_grid(watts, micros));
    let generation_readings =
        hold(start..end, samples, GENERATION, |watts, micros| flows.add_generation(watts, micros));
    let energy = QuarterEnergy {
        import: milliwatt_hours(flows.import),
        export: milliwatt_hours(flows.export),
        generation: milliwatt_hours(flows.generation),
        grid_readings,
        generation_readings,
    };
    Some(Part {
        first: first.time - start,
        last: last.time - start,
        energy,
        last_powers: [GRID, GENERATION].map(|slot| last.raw[slot].map(i64::from)),
    })
}

/// The times of the samples that [`quarter`] needs.
pub(in crate::sqlite) const fn reach(start: i64) -> std::ops::Range<i64> {
    start - HOLD..start + QUARTER
}

/// Tells each power of `slot` and how long it held inside `within`; gives the number of readings
/// not before it.
fn hold(
    within: std::ops::Range<i64>,
    samples: &[Sample],
    slot: usize,
    mut flow: impl FnMut(i64, i64),
) -> u32 {
    let mut readings = 0;
    let mut powers =
        samples.iter().filter_map(|sample| Some((sample.time, sample.raw[slot]?))).peekable();
    while let Some((time, watts)) = powers.next() {
        readings += u32::from(time >= within.start);
        flow(watts.into(), held(time, powers.peek().map(|(next, _)| *next), &within));
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn powers(readings: &[(i64, i32, i32)]) -> Vec<Sample> {
        let sample = |&(second, grid, generation): &(i64, i32, i32)| {
            let mut raw = [None; SLOTS];
            (raw[GRID], raw[GENERATION]) = (Some(grid), Some(generation));
            Sample { time: second * S, raw }
        };
        readings.iter().map(sample).collect()
    }

    fn energy(start: i64, samples: &[Sample]) -> QuarterEnergy {
        quarter(start, samples).unwrap().energy
    }

    #[test]
    fn a_power_holds_until_the_next_reading() {
        let energy = energy(0, &powers(&[(0, 3600, 0), (10, -1800, 0), (30, 0, 0)]));
        assert_eq!((energy.import, energy.export), (10_000, 10_000));
    }

    #[test]
    fn a_power_holds_at_most_a_minute() {
        let energy = energy(0, &powers(&[(0, 3600, 7200), (600, 0, 0)]));
        assert_eq!((energy.import, energy.generation), (60_000, 120_000));
    }

    #[test]
    fn what_an_inverter_draws_at_night_is_no_generation() {
        assert_eq!(energy(0, &powers(&[(0, 0, -30), (10, 0, -30)])).generation, 0);
    }

    #[test]
    fn a_power_reaches_over_the_border_of_a_quarter() {
        let readings = powers(&[(880, 3600, 0)]);
        assert_eq!(energy(0, between(&readings, -60 * S, 900 * S)).import, 20_000);
        let next = energy(QUARTER, between(&readings, 840 * S, 1800 * S));
        assert_eq!((next.import, next.grid_readings), (40_000, 0));
    }

    #[test]
    fn a_withheld_power_leaves_the_one_before_it_in_force() {
        let mut readings = powers(&[(0, 3600, 3600), (10, 9, 3600), (20, 0, 0)]);
        readings[1].raw[GRID] = None;
        let energy = energy(0, &readings);
        assert_eq!((energy.import, energy.grid_readings), (20_000, 2));
        assert_eq!((energy.generation, energy.generation_readings), (20_000, 3));
    }

    #[test]
    fn a_minute_sums_what_was_not_withheld() {
        let mut readings = powers(&[(0, 10, 1), (2, -4, 1), (4, 100, 1)]);
        readings[1].raw[GENERATION] = None;
        let sums = minute(&readings);
        assert_eq!((sums.sum[GRID], sums.count[GRID]), (106, 3));
        assert_eq!((sums.sum[GENERATION], sums.count[GENERATION]), (2, 2));
    }

    #[test]
    fn two_parts_of_a_quarter_are_as_much_as_the_whole() {
        let readings = powers(&[(850, 900, 0), (890, 3600, 7200), (910, -7200, 72), (940, 36, 36)]);
        for cut in 1..readings.len() {
            let (earlier, later) = readings.split_at(cut);
            let whole = quarter(QUARTER, &readings).unwrap();
            let later = quarter(QUARTER, later).unwrap();
            let mut earlier = quarter(QUARTER, earlier).unwrap();
            earlier.end_hold(i64::MAX, later.first);
            assert!(!earlier.overlaps(&later) && whole.overlaps(&later));
            for flow in [
                |energy: QuarterEnergy| energy.import,
                |energy: QuarterEnergy| energy.export,
                |energy: QuarterEnergy| energy.generation,
            ] {
                assert_eq!(flow(earlier.energy) + flow(later.energy), flow(whole.energy), "{cut}");
            }
        }
    }
}
