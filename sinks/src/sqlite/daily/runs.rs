//! The runs of the counter between its resets: rules 4 and 5.
//!
//! Points that may follow one another form a segment. Between segments the counter did what no
//! counter does: it fell, or rose faster than a heater heats. Rule 4 says what a jump proves:
//!
//! - a fall of over 0.02 kWh to no more than 0.01 kWh + 4.2 kW x dt is a reset and begins a run;
//! - any other fall proves the higher points before it wrong;
//! - an impossible rise that may follow the end of the previous run proves that reset false.
//!
//! Each of these asks for points to be dropped so that what remains can have happened, and where
//! several things are wrong at once the proofs contradict one another. (A wild value that stood
//! long enough to be accepted looks, after a reset, like the previous run going on; and the fall
//! from it, before or after a gap, like a reset that would count it.) So they are weighed
//! together: of all ways to drop points such that every jump left is a reset, the one is taken
//! whose points stood for longest. Where one thing is wrong at a time, that is rule 4 to the
//! letter, but for the smallest of resets (see [`ends_in_spike`]).

use std::ops::Range;

use energi_decoders::counter::{CounterPoint, GAP, WattHours, most_after};
use jiff::{SignedDuration, Timestamp};

/// A fall of no more than this is never a reset.
pub(super) const LEAST_RESET: WattHours = WattHours(20);

/// Longest duration of a wild value that looks like a counter near zero, or like its reset.
const SPIKE: SignedDuration = SignedDuration::from_mins(10);

/// Number of segments back to which a segment may connect: bounds the work on points that make no
/// sense at all.
const REACH: usize = 256;

/// The believed points of a window, in runs.
#[derive(Debug)]
pub(super) struct Runs {
    /// The points, sorted by time.
    pub(super) points: Vec<CounterPoint>,
    /// Start of each run but the first, as an index of `points`: at a reset.
    pub(super) resets: Vec<usize>,
}

impl Runs {
    /// Judges `points`, which are sorted by time.
    pub(super) fn of(points: &[CounterPoint]) -> Self {
        let segments = Segments::of(points);
        let mut runs = Self { points: Vec::with_capacity(points.len()), resets: Vec::new() };
        for (range, link) in segments.best() {
            if link == Link::Reset {
                runs.resets.push(runs.points.len());
            }
            runs.points.extend(points.get(range).unwrap_or_default());
        }
        runs
    }

    /// The indices of the points from `start` on and before `end`.
    pub(super) fn between(&self, start: Timestamp, end: Timestamp) -> Range<usize> {
        self.from(start)..self.from(end)
    }

    /// The index of the first point at `time` or after it.
    pub(super) fn from(&self, time: Timestamp) -> usize {
        self.points.partition_point(|point| point.time < time)
    }

    /// The energy of the points of `range`, of which the first run has counted `carry_over` before:
    /// the sum of the last values of its runs (rules 5 and 7).
    pub(super) fn energy(&self, range: Range<usize>, carry_over: WattHours) -> Option<WattHours> {
        let last = |end: usize| Some(self.points.get(end.checked_sub(1)?)?.energy.0);
        if range.is_empty() {
            return None;
        }
        let sum: i64 = self.resets_within(&range).filter_map(last).sum();
        Some(WattHours(sum + last(range.end)? - carry_over.0))
    }

    /// The resets among the points of `range`; one at its first point lies before them.
    pub(super) fn resets_within(&self, range: &Range<usize>) -> impl Iterator<Item = usize> {
        let (start, end) = (range.start, range.end);
        self.resets.iter().copied().filter(move |reset| start < *reset && *reset < end)
    }

    /// The times of the points before and after a reset.
    pub(super) fn around(&self, reset: usize) -> Option<[Timestamp; 2]> {
        let before = self.points.get(reset.checked_sub(1)?)?;
        Some([before.time, self.points.get(reset)?.time])
    }
}

/// Relation of a segment to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// No segment before it.
    Start,
    /// Same run.
    Follow,
    /// The segment begins a run.
    Reset,
}

/// Join of two segments, and the end of what is kept of the earlier.
#[derive(Debug, Clone, Copy)]
struct Join {
    link: Link,
    end: usize,
}

/// The best way to arrive at a segment.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// Duration for which the points kept before the segment stood, in seconds.
    stood: i64,
    link: Link,
    /// The segment before it, and the end of the part of that which is kept.
    from: Option<(usize, usize)>,
}

struct Segments<'a> {
    points: &'a [CounterPoint],
    /// Time, for each point, that all points before it stood, in seconds; one more than points.
    stood: Vec<i64>,
    ranges: Vec<Range<usize>>,
}

impl<'a> Segments<'a> {
    fn of(points: &'a [CounterPoint]) -> Self {
        let mut stood = Vec::with_capacity(points.len() + 1);
        let mut ranges = Vec::new();
        let (mut total, mut start) = (0, 0);
        for (index, point) in points.iter().enumerate() {
            stood.push(total);
            // A second for having been seen; and no gap makes a point weigh more.
            total += 1;
            if let Some(next) = points.get(index + 1) {
                total += point.elapsed(*next).as_secs().clamp(0, GAP.as_secs());
                if !point.may_precede(*next) {
                    ranges.push(start..index + 1);
                    start = index + 1;
                }
            }
        }
        stood.push(total);
        if !points.is_empty() {
            ranges.push(start..points.len());
        }
        Self { points, stood, ranges }
    }

    /// The parts to keep, in order.
    fn best(&self) -> Vec<(Range<usize>, Link)> {
        let mut arrivals: Vec<Arrival> = Vec::with_capacity(self.ranges.len());
        for (index, range) in self.ranges.iter().enumerate() {
            let mut best = Arrival { stood: 0, link: Link::Start, from: None };
            // The nearest first: among equals it wins.
            for earlier in (index.saturating_sub(REACH)..index).rev() {
                let arrival = arrivals[earlier];
                let kept = self.ranges[earlier].clone();
                let before = arrival.from.map(|(_, end)| self.points[end - 1]);
                if let Some(join) = self.join(before, &kept, range) {
                    let stood = arrival.stood + self.weight(kept.start..join.end);
                    if stood > best.stood {
                        best = Arrival { stood, link: join.link, from: Some((earlier, join.end)) };
                    }
                }
            }
            arrivals.push(best);
        }
        self.trace(&arrivals)
    }

    fn trace(&self, arrivals: &[Arrival]) -> Vec<(Range<usize>, Link)> {
        let mut here = (0..arrivals.len())
            .max_by_key(|index| arrivals[*index].stood + self.weight(self.ranges[*index].clone()))
            .map(|index| (index, self.ranges[index].end));
        let mut parts = Vec::new();
        while let Some((index, end)) = here {
            parts.push((self.ranges[index].start..end, arrivals[index].link));
            here = arrivals[index].from;
        }
        parts.reverse();
        parts
    }

    fn weight(&self, range: Range<usize>) -> i64 {
        self.stood[range.end] - self.stood[range.start]
    }

    /// Returns how the segment `later` can go on from `earlier`, which itself goes on from
    /// `before`.
    fn join(
        &self,
        before: Option<CounterPoint>,
        earlier: &Range<usize>,
        later: &Range<usize>,
    ) -> Option<Join> {
        let segment = &self.points[earlier.clone()];
        let (last, next) = (self.points[earlier.end - 1], self.points[later.start]);
        if self.is_reset(last, later.start) && !ends_in_spike(before, segment, next) {
            return Some(Join { link: Link::Reset, end: earlier.end });
        }
        // The end of the earlier is wrong: its higher points, and of the others those after
        // which the rise is impossible; the longer ago a point was, the more may have flowed since.
        let lower = segment.partition_point(|point| point.energy <= next.energy);
        let kept = segment[..lower].partition_point(|point| point.may_precede(next));
        (kept > 0).then_some(Join { link: Link::Follow, end: earlier.start + kept })
    }

    /// Returns whether the point at `next` can be the first after a reset, where `last` is the one
    /// kept before it.
    ///
    /// Points dropped in between are wild values, which last no longer than [`SPIKE`]: they do not
    /// hide when the reset was.
    fn is_reset(&self, last: CounterPoint, next: usize) -> bool {
        let (before, next) = (self.points[next - 1], self.points[next]);
        let elapsed = last.elapsed(next).min(before.elapsed(next).saturating_add(SPIKE));
        last.energy.0 - next.energy.0 > LEAST_RESET.0 && next.energy.0 <= most_after(elapsed)
    }
}

/// Returns whether the fall from `segment` to `next` is the end of a wild value near zero: the
/// counter leapt to it, perhaps on to another, and fell back to where it had been, all within
/// [`SPIKE`].
///
/// The rule's letter calls it a reset and would count the wild value. The price: a device that
/// truly starts again within [`SPIKE`] of such a leap, which no other point shows on its way, loses
/// that leap. By rule 1 it is at most 0.01 kWh + 4.2 kW x 10 min = 0.71 kWh, and that much only
/// where nothing was received between; the steps of a counter that is received are 0.02 kWh or less, and
/// a fall by those is no reset anyway.
fn ends_in_spike(
    before: Option<CounterPoint>,
    segment: &[CounterPoint],
    next: CounterPoint,
) -> bool {
    let low = next.energy.0 + LEAST_RESET.0;
    let (lower, higher) = segment.split_at(segment.partition_point(|p| p.energy.0 <= low));
    let before = lower.last().copied().or(before).filter(|before| before.energy.0 <= low);
    let Some(before) = before.filter(|_| !higher.is_empty()) else { return false };
    let leaps = higher.windows(2).all(|pair| {
        let rise = pair[1].energy.0 - pair[0].energy.0;
        rise == 0 || rise > LEAST_RESET.0
    });
    leaps && before.elapsed(next) <= SPIKE
}
