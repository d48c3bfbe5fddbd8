//! End of a day by the device's clock: rule 6.

use energi_decoders::counter::{CounterPoint, GAP, WattHours, most_after};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Border;
use super::recorder::since_slot;
use super::runs::{LEAST_RESET, Runs};

/// Largest distance of the device's midnight from local midnight.
const REACH: SignedDuration = SignedDuration::from_hours(2);

/// A reset that falls between points further apart than this is not seen.
const UNSEEN: SignedDuration = SignedDuration::from_mins(15);

/// Longest rise that can hide a known restart of the device: the counter has caught up with itself
/// before its first readings were believed.
const CATCH_UP: SignedDuration = SignedDuration::from_secs(60);

/// Largest difference, in Wh, of steady diverting from steady: the counter's step on both sides.
const STEADY: i64 = 20;

/// The device sends its counter every 12 s or so: a reset comes so long after the last reading
/// before it, at most.
const SENT_EVERY: SignedDuration = SignedDuration::from_secs(12);

/// A border among the points of [`Runs`].
#[derive(Debug, Clone, Copy)]
pub(super) struct DayBoundary {
    /// The index of the first point that is counted to the day that begins.
    pub(super) first: usize,
    /// Energy that the continuing run had counted before.
    pub(super) carry_over: WattHours,
    /// The index of the first point that is surely of the day that begins, and before which point
    /// the day before surely had not ended.
    sure: (usize, usize),
}

impl DayBoundary {
    /// Between the point before `first` and that.
    fn at(first: usize, carry_over: WattHours) -> Self {
        Self { first, carry_over, sure: (first, first) }
    }

    pub(super) fn place(self, runs: &Runs) -> Border {
        let time = |index: usize| runs.points.get(index).map(|point| point.time);
        let (begin, end) = self.sure;
        Border {
            after: begin.checked_sub(1).and_then(time),
            until: time(end),
            fresh: runs.resets.binary_search(&self.first).is_ok(),
        }
    }
}

/// The border nearest `midnight`.
///
/// Beyond the rule's letter: the next value counts from zero only where it can have come from
/// there; a reset in a gap is in reach if the gap is; one hidden by steady diverting is found by
/// [`catch_up_near`]; and where the counter shows that it did not start again at the usual time,
/// the border is the last time in reach when it can have done so without a fall that shows.
pub(super) fn find(runs: &Runs, midnight: Timestamp, tz: &TimeZone) -> DayBoundary {
    if let Some(first) = reset_near(runs, midnight) {
        return DayBoundary::at(first, WattHours(0));
    }
    let expected = Expected::at(runs, midnight, tz);
    let usual = Gap::of(runs, expected.map_or(midnight, |it| it.usual));
    if usual.hides_a_reset() {
        return DayBoundary::at(usual.first, WattHours(0));
    }
    if let Some(expected) = expected.filter(|_| usual.was_low()) {
        let sure = (runs.from(expected.earliest), runs.from(expected.latest));
        return DayBoundary { sure, ..usual.carried(runs) };
    }
    let seen = reset_in_gap_near(runs, midnight).or_else(|| catch_up_near(runs, midnight));
    if let Some(first) = seen {
        return DayBoundary::at(first, WattHours(0));
    }
    // Nothing shows when the device started again: it can have been at any time in reach.
    let reach = runs.between(earlier(midnight, REACH), later(midnight, REACH));
    let sure = (reach.start.min(usual.first), reach.end.max(usual.first));
    let end_of_low = end_of_low(runs, usual.first, reach.start);
    let border = end_of_low.map_or(usual, |end| Gap::at(runs, end));
    DayBoundary { sure, ..border.carried(runs) }
}

/// The reset nearest `midnight`, if one is in reach: the index of its first point.
fn reset_near(runs: &Runs, midnight: Timestamp) -> Option<usize> {
    let distance = |reset: &usize| {
        runs.points.get(*reset).map(|point| point.time.duration_since(midnight).abs())
    };
    runs.resets
        .iter()
        .filter_map(|reset| Some((*reset, distance(reset)?)))
        .filter(|(_, distance)| *distance <= REACH)
        .min_by_key(|(_, distance)| *distance)
        .map(|(reset, _)| reset)
}

/// The first reset that lies in a gap which begins in reach of `midnight` or before it, and ends
/// in reach or after it.
fn reset_in_gap_near(runs: &Runs, midnight: Timestamp) -> Option<usize> {
    runs.resets.iter().copied().find(|reset| {
        let gap = Gap::at(runs, *reset);
        gap.before.zip(gap.after).is_some_and(|(before, after)| {
            before.elapsed(after) > UNSEEN
                && before.time <= later(midnight, REACH)
                && after.time >= earlier(midnight, REACH)
        })
    })
}

/// Time at which the device starts again at a midnight, by the last reset at an earlier one.
#[derive(Debug, Clone, Copy)]
struct Expected {
    usual: Timestamp,
    /// Bounds of the restart: after the last point before the reset, and no later than the first
    /// after it; and where the clocks have changed since, the device may not have followed them.
    earliest: Timestamp,
    latest: Timestamp,
}

impl Expected {
    /// A reset away from midnight is the device starting again, and one inside a gap does not show
    /// the time. The last point before the reset shows it, since the first one after it had to prove
    /// itself.
    fn at(runs: &Runs, midnight: Timestamp, tz: &TimeZone) -> Option<Self> {
        let seen = |reset: &usize| {
            let until = runs.points.get(*reset)?;
            let after = runs.points.get(reset.checked_sub(1)?)?;
            if until.time >= midnight || after.elapsed(*until) > UNSEEN {
                return None;
            }
            let noon = later(after.time, SignedDuration::from_hours(12));
            let of_day = noon.to_zoned(tz.clone()).start_of_day().ok()?.timestamp();
            let [after, usual, until] = [after.time, later(after.time, SENT_EVERY), until.time]
                .map(|time| time.duration_since(of_day));
            let changed = tz.to_offset(midnight).duration_since(tz.to_offset(of_day));
            let shows = usual.abs() <= REACH && reset_near(runs, of_day) == Some(*reset);
            shows.then(|| Self {
                usual: later(midnight, usual),
                earliest: later(midnight, after.min(after + changed)),
                latest: later(midnight, until.max(until + changed)),
            })
        };
        runs.resets.iter().rev().find_map(seen)
    }
}

/// The end of the stretch, in the run that goes on at `index`, in which the counter stood so low
/// that it may have started again without a fall that shows; `None` where it ends before `reach`.
fn end_of_low(runs: &Runs, index: usize, reach: usize) -> Option<usize> {
    let next_run = runs.resets.partition_point(|reset| *reset < index);
    let begin = next_run.checked_sub(1).and_then(|run| runs.resets.get(run)).copied().unwrap_or(0);
    let run = runs.points.get(begin..index)?;
    let low = run.partition_point(|point| point.energy <= LEAST_RESET);
    (low > 0 && begin + low > reach).then_some(begin + low)
}

/// Returns where the counter caught up with itself near `midnight`, where no earlier reset tells
/// the time of this one well enough: the index of the first point believed after it.
///
/// Diverting began shortly before the device's midnight and went on past it, and the zeros after
/// it were not proven before the counter passed its old value. What is left to see is steady
/// diverting that pauses once, and after the pause has a counter as if it had gone on from zero
/// all the while. A heater that is switched off and on once has that only by chance (what it had
/// diverted, at most 0.36 kWh, then counts twice), and one that keeps being switched is not steady.
fn catch_up_near(runs: &Runs, midnight: Timestamp) -> Option<usize> {
    let reach = runs.between(earlier(midnight, REACH), later(midnight, REACH));
    let begin = end_of_low(runs, reach.end, reach.start)?;
    let pauses = |index: &usize| {
        let pause = Gap::at(runs, *index).elapsed();
        pause.is_some_and(|pause| pause > CATCH_UP)
    };
    let first = (begin + 1..reach.end).find(pauses)?;
    let pause = Gap::at(runs, first);
    let (before, after) = pause.before.zip(pause.after)?;
    let steady = runs.between(after.time, later(after.time, GAP));
    if !pause.hides_a_catch_up()
        || before.elapsed(after) > GAP
        || (first + 1..=steady.end).any(|index| pauses(&index))
    {
        return None;
    }
    let (begin, end) = (*runs.points.get(begin)?, *runs.points.get(steady.end)?);
    let rise = |from: CounterPoint, to: CounterPoint| to.energy.0 - from.energy.0;
    // What the power after the pause brings in a while.
    let brings = |time: SignedDuration| {
        let power = i128::from(rise(after, end)) * time.as_millis();
        power.checked_div(after.elapsed(end).as_millis()).and_then(|it| i64::try_from(it).ok())
    };
    let as_before = brings(begin.elapsed(before))?.abs_diff(rise(begin, before));
    // The reset was at most two readings after the last point before it: one may be lost.
    let most = brings(before.elapsed(after))?;
    let least = brings(before.elapsed(after).saturating_sub(SENT_EVERY * 2))?;
    let from_zero = least - STEADY..=most + STEADY;
    (as_before <= STEADY.unsigned_abs() && from_zero.contains(&after.energy.0)).then_some(first)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The points on both sides of an instant.
struct Gap {
    /// The index of the first point at the instant or after it.
    first: usize,
    before: Option<CounterPoint>,
    after: Option<CounterPoint>,
}

impl Gap {
    fn of(runs: &Runs, instant: Timestamp) -> Self {
        Self::at(runs, runs.from(instant))
    }

    fn at(runs: &Runs, first: usize) -> Self {
        let before = first.checked_sub(1).and_then(|index| runs.points.get(index)).copied();
        Self { first, before, after: runs.points.get(first).copied() }
    }

    fn elapsed(&self) -> Option<SignedDuration> {
        self.before.zip(self.after).map(|(before, after)| before.elapsed(after))
    }

    /// Returns whether a reset can have happened unseen: the points lie too far apart, and the
    /// later one can have counted from zero since the earlier.
    fn hides_a_reset(&self) -> bool {
        self.hides(|before, after| before.elapsed(after) > UNSEEN)
    }

    /// The same for points that lie closer to one another, where the counter has risen since or has
    /// just come back to what it was: had it stood there all along, an earlier point would say so.
    fn hides_a_catch_up(&self) -> bool {
        let is_late = self.after.is_some_and(|after| since_slot(after.time) > CATCH_UP);
        let came_back = is_late && !self.was_low();
        self.hides(|before, after| {
            before.elapsed(after) > CATCH_UP && (after.energy > before.energy || came_back)
        })
    }

    fn hides(&self, apart: impl Fn(CounterPoint, CounterPoint) -> bool) -> bool {
        match (self.before, self.after) {
            (Some(before), Some(after)) => {
                apart(before, after) && after.energy.0 <= most_after(before.elapsed(after))
            }
            _ => true,
        }
    }

    /// Returns whether the counter stood so low that it may have started again without a fall that
    /// shows.
    fn was_low(&self) -> bool {
        self.before.is_some_and(|before| before.energy <= LEAST_RESET)
    }

    /// The run goes on, with what it had counted.
    fn carried(&self, runs: &Runs) -> DayBoundary {
        let begins_run = runs.resets.binary_search(&self.first).is_ok();
        let carry_over =
            self.before.filter(|_| !begins_run).map_or(WattHours(0), |point| point.energy);
        DayBoundary::at(self.first, carry_over)
    }
}
