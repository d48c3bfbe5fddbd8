//! The rule by which powers become energy: a power holds until the next reading of it, at most
//! [`HOLD`], and negative generation counts as nothing.
//!
//! All times are microseconds since 1970 UTC.

use std::ops::Range;

/// Time that a power holds at most: 60 s.
pub const HOLD: i64 = 60_000_000;

/// Watts times microseconds in a milliwatt-hour.
const MILLIWATT_HOUR: i64 = 3_600_000;

/// Returns how long a power that was read at `time` held inside `within`, where the next reading of
/// it came at `next`.
#[must_use]
pub fn held(time: i64, next: Option<i64>, within: &Range<i64>) -> i64 {
    let end = time.saturating_add(HOLD).min(within.end);
    (next.unwrap_or(end).min(end) - time.max(within.start)).max(0)
}

/// Exact energy: in watts times microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flows {
    /// Energy from the grid.
    pub import: i64,
    /// Energy to the grid.
    pub export: i64,
    /// Energy from the generator.
    pub generation: i64,
}

impl Flows {
    /// Adds a grid power, negative where it was exported, that held for so long.
    pub fn add_grid(&mut self, watts: i64, micros: i64) {
        let flow = if watts < 0 { &mut self.export } else { &mut self.import };
        *flow += watts.abs() * micros;
    }

    /// Adds a generated power that held for so long. What an inverter draws at night counts as
    /// nothing.
    pub fn add_generation(&mut self, watts: i64, micros: i64) {
        self.generation += watts.max(0) * micros;
    }
}

/// Returns the nearest whole number of milliwatt-hours.
#[must_use]
pub const fn milliwatt_hours(watt_micros: i64) -> i64 {
    (watt_micros + MILLIWATT_HOUR / 2).div_euclid(MILLIWATT_HOUR)
}
