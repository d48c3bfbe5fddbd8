//! Test whether two series that rarely change do so at the same times.
//!
//! See [`super`] for why it is done so.

use super::spread;

/// A change that happened after one moment and by another, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    after: i64,
    by: i64,
    up: bool,
}

/// Changes beyond this number are no rare events.
const MOST_STEPS: usize = 2000;

/// Distance from a moment within which the usual number of changes is counted, in µs.
const NEARBY: i64 = 1_800_000_000;

/// Shifts that show how many changes meet where nothing belongs together.
const SHIFTS: usize = 200;

/// A series that rarely changes.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    all: Vec<Step>,
    /// Start of the series, in µs.
    begins: i64,
    /// Length of the series, in µs.
    span: i64,
    /// The median time between two rows, in µs.
    interval: i64,
}

impl Steps {
    /// The changes of a series; `None` where it changes so often that single changes tell
    /// nothing, or never.
    pub(super) fn new(times: &[i64], values: &[f64], interval: i64) -> Option<Self> {
        let mut steps = Vec::new();
        for (times, values) in times.windows(2).zip(values.windows(2)) {
            let (Some(&[after, by]), Some(&[old, new])) =
                (times.first_chunk(), values.first_chunk())
            else {
                continue;
            };
            #[expect(clippy::float_cmp, reason = "raw numbers, or values from a table")]
            if old != new && by - after <= 3 * interval {
                steps.push(Step { after, by, up: new > old });
            }
            if steps.len() > MOST_STEPS {
                return None;
            }
        }
        let begins = *times.first()?;
        let span = times.last()? - begins;
        let rare = !steps.is_empty() && steps.len() * 10 <= times.len();
        rare.then_some(Self { all: steps, begins, span, interval })
    }

    /// Returns how many changes there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns how many of `metric`'s changes these changes meet `lag` µs later, and how likely as
    /// many are by chance. `inverted`: up meets down.
    pub(super) fn meet(&self, metric: &Self, lag: i64, inverted: bool) -> Met {
        let (mut hits, mut chances) = (0, Vec::with_capacity(metric.all.len()));
        for step in &metric.all {
            let (after, by, up) = (step.after + lag, step.by + lag, step.up != inverted);
            let hit = self.has(after, by, up);
            hits += usize::from(hit);
            chances.push(self.chance(after, by, up, hit, metric.interval));
        }
        let probability = tail(&chances, hits);
        // Changes that meet nothing speak against it as much.
        let share = self.share_met(metric, lag);
        Met { hits, share, probability }
    }

    /// Returns whether one of these changes may be at the same moment as one in that direction.
    fn has(&self, after: i64, by: i64, up: bool) -> bool {
        let from = self.all.partition_point(|mine| mine.by <= after);
        let at_once = self.all[from..].iter().take_while(|mine| mine.after < by);
        at_once.into_iter().any(|mine| mine.up == up)
    }

    /// The share of other times at which changes meet nearly as often as where `hits` of them do: two
    /// clocks of one period meet always or never, which the rate of their changes does not tell.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub(super) fn elsewhere(&self, metric: &Self, lag: i64, inverted: bool, hits: usize) -> f64 {
        let as_often = |shift: &i64| {
            let (mut met, mut there) = (0, 0);
            for step in &metric.all {
                let (after, by) = (step.after + lag + shift, step.by + lag + shift);
                if (self.begins..=self.begins + self.span).contains(&after) {
                    there += 1;
                    met += usize::from(self.has(after, by, step.up != inverted));
                }
            }
            2 * there >= metric.len() && 10 * met * metric.len() >= 9 * hits * there
        };
        let shifts = (0..SHIFTS).map(|index| far(index, NEARBY.min(self.span / 8), self.span / 2));
        shifts.filter(as_often).count() as f64 / SHIFTS as f64
    }

    /// The share of these changes that a change of the metric meets.
    fn share_met(&self, metric: &Self, lag: i64) -> f64 {
        let met = self.all.iter().filter(|mine| {
            let from = metric.all.partition_point(|step| step.by + lag <= mine.after);
            metric.all.get(from).is_some_and(|step| step.after + lag < mine.by)
        });
        #[expect(clippy::cast_precision_loss, reason = "2000 at most")]
        let share = met.count() as f64 / self.all.len() as f64;
        share
    }

    /// Returns how likely a change in that direction falls by chance where the metric's does: by
    /// how often they are on the whole and nearby, whichever is more; a hit itself does not count.
    #[expect(clippy::cast_precision_loss, reason = "durations, and 2000 at most")]
    fn chance(&self, after: i64, by: i64, up: bool, hit: bool, interval: i64) -> f64 {
        let count = |steps: &[Step]| steps.iter().filter(|step| step.up == up).count();
        let first = self.all.partition_point(|step| step.by < after - NEARBY);
        let last = self.all.partition_point(|step| step.after <= by + NEARBY);
        let nearby = count(&self.all[first..last.max(first)]).saturating_sub(hit.into());
        let usual = (count(&self.all) + 1) as f64 / self.span.max(1) as f64;
        let rate = usual.max(nearby as f64 / (2 * NEARBY) as f64);
        let window = (interval + self.interval) as f64;
        1.0 - (-rate * window).exp()
    }
}

/// The shifts of a search for other times, in µs: from `near` to `farthest`, earlier and later in
/// turn.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "within the span of a capture"
)]
fn far(index: usize, near: i64, farthest: i64) -> i64 {
    let shift = near + (spread::place(index) * (farthest - near) as f64) as i64;
    if index.is_multiple_of(2) { shift } else { -shift }
}

/// Coincidence of changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    /// The metric's changes that were met.
    pub(super) hits: usize,
    /// The share of the field's own changes that meet the metric's.
    pub(super) share: f64,
    /// Largest probability that as many meet by chance.
    pub(super) probability: f64,
}

/// Returns how likely at least `hits` of independent events of these chances happen: exactly for
/// few events, else by Chernoff's bound.
#[expect(clippy::cast_precision_loss, reason = "2000 at most")]
fn tail(chances: &[f64], hits: usize) -> f64 {
    const FEW: usize = 64;
    if hits == 0 {
        return 1.0;
    }
    if chances.len() <= FEW {
        // distribution[n]: n events happened; the last stands for `hits` or more.
        let mut distribution = vec![0.0; hits + 1];
        distribution[0] = 1.0;
        for chance in chances {
            distribution[hits] += distribution[hits - 1] * chance;
            for count in (1..hits).rev() {
                distribution[count] =
                    distribution[count] * (1.0 - chance) + distribution[count - 1] * chance;
            }
            distribution[0] *= 1.0 - chance;
        }
        return distribution[hits].min(1.0);
    }
    let (mean, hits): (f64, f64) = (chances.iter().sum(), hits as f64);
    if hits <= mean { 1.0 } else { (hits - mean - hits * (hits / mean).ln()).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row every 12 s for a day, 1 within any of the spans (in rows).
    fn switched(spans: &[(usize, usize)]) -> Steps {
        let times: Vec<i64> = (0..7200).map(|row| row * 12_000_000).collect();
        let on = |row: usize| spans.iter().any(|(from, to)| (*from..*to).contains(&row));
        let values: Vec<f64> = (0..7200).map(|row| f64::from(u8::from(on(row)))).collect();
        Steps::new(&times, &values, 12_000_000).unwrap()
    }

    #[test]
    fn two_simultaneous_changes_weigh_more_than_one() {
        let boost = switched(&[(1000, 1300)]);
        let met = switched(&[(1000, 1300)]).meet(&boost, 0, false);
        assert_eq!(met.hits, 2);
        assert!(met.probability < 1e-6, "{met:?}");
        let once = switched(&[(1000, 1900)]).meet(&boost, 0, false);
        assert_eq!(once.hits, 1);
        assert!((1e-4..1e-2).contains(&once.probability), "{once:?}");
        // Down where the flag goes up.
        assert_eq!(switched(&[(500, 1000), (1300, 1900)]).meet(&boost, 0, true).hits, 2);
        assert_eq!(switched(&[(1005, 1305)]).meet(&boost, 60_000_000, false).hits, 2);
    }

    #[test]
    fn two_busy_hours_meet_by_chance() {
        let heater: Vec<_> = (0..40).map(|n| (3000 + 8 * n, 3004 + 8 * n)).collect();
        let noise: Vec<_> = (0..60).map(|n| (3001 + 5 * n, 3003 + 5 * n)).collect();
        let met = switched(&noise).meet(&switched(&heater), 0, false);
        assert!(met.hits > 10, "{met:?}");
        assert!(met.probability > 1e-3, "{met:?}");
    }

    #[test]
    fn two_clocks_of_one_period_meet_by_chance() {
        let clock: Vec<_> = (0..70).map(|n| (100 * n + 20, 100 * n + 70)).collect();
        let (one, other) = (switched(&clock), switched(&clock));
        let met = one.meet(&other, 0, false);
        assert_eq!(met.hits, 140);
        assert!(met.probability < 1e-9, "{met:?}");
        assert!(one.elsewhere(&other, 0, false, met.hits) > 0.005);

        let irregular: Vec<_> = (0..70).map(|n| (100 * n + n * n % 41, 100 * n + 70)).collect();
        let irregular = switched(&irregular);
        assert!(irregular.elsewhere(&irregular.clone(), 0, false, 140) < 1e-9);
    }

    #[test]
    fn chances_add_up_exactly_or_are_bounded_from_above() {
        assert!((tail(&[0.5, 0.5], 1) - 0.75).abs() < 1e-12);
        assert!((tail(&[0.5, 0.5], 2) - 0.25).abs() < 1e-12);
        assert!((tail(&[0.1, 0.2, 0.3], 3) - 0.006).abs() < 1e-12);
        // 20 of 100 events of chance 0.1: exactly 0.002.
        let bound = tail(&[0.1; 100], 20);
        assert!((0.002..0.03).contains(&bound), "{bound}");
    }
}
