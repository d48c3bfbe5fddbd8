//! Problems of a device that need somebody's attention.

use std::time::Duration;

use jiff::Timestamp;

use super::config::ProblemsConfig;

/// Longest time between two readings of power of a device that is received.
const LONGEST_GAP: Duration = Duration::from_mins(1);

/// Key of the problem that the device is not received.
pub(super) const SILENT: &str = "problem/silent";

/// Key of the problem that power is exported while the heater takes none.
pub(super) const NOT_DIVERTING: &str = "problem/not_diverting";

/// Keys of all problems.
pub(super) const KEYS: [&str; 2] = [SILENT, NOT_DIVERTING];

/// Values that decide whether a heater should take power.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaterState {
    /// Power at the grid connection, in W.
    pub(super) grid: f64,
    /// Records whether the heater takes no power although diversion is on and the water is not hot.
    pub(super) idle: bool,
}

/// Watch over a heater that takes no power although some is exported.
#[derive(Debug)]
pub(super) struct ExportWatch {
    rule: ProblemsConfig,
    since: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl ExportWatch {
    pub(super) fn new(rule: &ProblemsConfig) -> Self {
        Self { rule: rule.clone(), since: None, last: None }
    }

    /// Takes the state at a time; whether it has lasted for so long that it is a problem.
    pub(super) fn take(&mut self, time: Timestamp, state: HeaterState) -> bool {
        let elapsed = |since: Timestamp| Duration::try_from(time.duration_since(since)).ok();
        // Nothing is known of a gap.
        let last = self.last.replace(time);
        if last.is_some_and(|last| elapsed(last).is_none_or(|gap| gap > LONGEST_GAP)) {
            self.since = None;
        }
        if !(state.idle && state.grid < -self.rule.export_above) {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(time);
        elapsed(since).is_some_and(|elapsed| elapsed >= self.rule.export_for.duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WASTED: HeaterState = HeaterState { grid: -900.0, idle: true };

    /// The first second at which there is a problem, with a state every ten seconds.
    fn first(state: impl Fn(i64) -> Option<HeaterState>) -> Option<i64> {
        let mut watch = ExportWatch::new(&ProblemsConfig::default());
        (0..7200).step_by(10).find(|second| {
            let time = Timestamp::from_second(*second).unwrap();
            state(*second).is_some_and(|state| watch.take(time, state))
        })
    }

    #[test]
    fn exporting_for_half_an_hour_is_a_problem() {
        assert_eq!(first(|_| Some(WASTED)), Some(1800));
        for innocent in [
            HeaterState { grid: -90.0, ..WASTED },
            HeaterState { grid: 900.0, ..WASTED },
            HeaterState { idle: false, ..WASTED },
        ] {
            assert_eq!(first(|_| Some(innocent)), None, "{innocent:?}");
            let once = |second| Some(if second == 1790 { innocent } else { WASTED });
            assert_eq!(first(once), Some(3600), "{innocent:?}");
        }
        let gap = |second| (!(600..720).contains(&second)).then_some(WASTED);
        assert_eq!(first(gap), Some(2520), "it begins again after a gap");
    }
}
