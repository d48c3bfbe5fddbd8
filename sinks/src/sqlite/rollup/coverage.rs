//! Intervals in which a device was received: the union of those between frames at most [`HOLD`]
//! apart.
//!
//! All times are microseconds since 1970 UTC.

/// Time that a frame vouches for the device: as long as a power holds.
pub(in crate::sqlite) use crate::energy::HOLD;

/// Interval from one frame to another, with no gap of more than [`HOLD`] in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sqlite) struct Interval {
    /// The first frame.
    pub(in crate::sqlite) start: i64,
    /// The last frame; the first one where it stands alone.
    pub(in crate::sqlite) end: i64,
}

impl Interval {
    /// A frame by itself.
    pub(in crate::sqlite) const fn at(time: i64) -> Self {
        Self { start: time, end: time }
    }
}

/// The union of `intervals`, oldest first; those at most [`HOLD`] apart become one.
pub(in crate::sqlite) fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    intervals.dedup_by(|next, last| {
        let joined = next.start <= last.end.saturating_add(HOLD);
        if joined {
            last.end = last.end.max(next.end);
        }
        joined
    });
    intervals
}

/// Returns how much of `start..end` the intervals of a [`union`] cover.
pub(in crate::sqlite) fn covered(intervals: &[Interval], start: i64, end: i64) -> i64 {
    intervals.iter().map(|i| (i.end.min(end) - i.start.max(start)).max(0)).sum()
}

/// Returns whether the device was received throughout `start..=end`, but for gaps of up to
/// `longest`, which is no less than [`HOLD`]. The intervals are those of a [`union`].
pub(in crate::sqlite) fn unbroken(
    intervals: &[Interval],
    start: i64,
    end: i64,
    longest: i64,
) -> bool {
    let mut heard = intervals.iter().skip_while(|interval| interval.end < start);
    let Some(first) = heard.next().filter(|interval| interval.start <= start) else { return false };
    let mut until = first.end;
    for interval in heard.take_while(|interval| interval.start <= end) {
        if interval.start - until > longest {
            break;
        }
        until = interval.end;
    }
    until >= end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000;

    fn intervals(times: &[i64]) -> Vec<Interval> {
        times.iter().map(|time| Interval::at(time * S)).collect()
    }

    #[test]
    fn a_gap_of_up_to_a_minute_is_bridged() {
        let heard = union(intervals(&[0, 60, 121, 130]));
        assert_eq!(
            heard,
            [(0, 60 * S), (121 * S, 130 * S)].map(|(start, end)| Interval { start, end })
        );
        assert_eq!(covered(&heard, 0, 200 * S), 69 * S);
        assert_eq!(covered(&heard, 30 * S, 125 * S), 34 * S);
        assert!(unbroken(&heard, 10 * S, 60 * S, HOLD));
        assert!(!unbroken(&heard, 10 * S, 121 * S, HOLD));
        assert!(unbroken(&heard, 10 * S, 121 * S, 61 * S));
        assert!(!unbroken(&heard, 10 * S, 131 * S, 61 * S));
        assert!(!unbroken(&heard, -1, 121 * S, 61 * S));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(mut times in prop::collection::vec(0i64..2000, 0..60), cut in 0usize..60) {
            let cut = cut.min(times.len());
            let mut halves = union(intervals(&times[cut..]));
            halves.extend(union(intervals(&times[..cut])));
            let halves = union(halves);
            times.sort_unstable();
            prop_assert_eq!(halves, union(intervals(&times)));
        }
    }
}
