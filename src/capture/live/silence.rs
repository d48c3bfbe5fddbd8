//! Notices that no frame has come for long.

use std::time::{Duration, Instant};

/// Time without a frame that is worth a warning. A device sends one every two seconds or so.
pub(super) const LONG: Duration = Duration::from_mins(1);

/// Says once that it has been silent for long, and once that it no longer is.
#[derive(Debug)]
pub(super) struct Silence {
    since: Instant,
    said: bool,
}

impl Silence {
    /// Begins to listen at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, said: false }
    }

    /// A frame came. Returns how long it had been silent, where that was said.
    pub(super) fn frame(&mut self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.since);
        self.since = now;
        std::mem::take(&mut self.said).then_some(silent)
    }

    /// Excuses the silence until `now`: nothing could have come, and why was said already.
    pub(super) fn excuse(&mut self, now: Instant) {
        if !self.said {
            self.since = now;
        }
    }

    /// Returns whether it is time to say that it is silent: true once for each silence.
    pub(super) fn is_worth_a_word(&mut self, now: Instant) -> bool {
        let due = !self.said && now.saturating_duration_since(self.since) >= LONG;
        self.said |= due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_minute_is_reported_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::new(start);
        assert!(!silence.is_worth_a_word(at(59)));
        assert_eq!(silence.frame(at(59)), None);
        assert!(!silence.is_worth_a_word(at(118)));
        assert!(silence.is_worth_a_word(at(119)));
        assert!(!silence.is_worth_a_word(at(500)));
        assert_eq!(silence.frame(at(659)), Some(Duration::from_mins(10)));
        assert_eq!(silence.frame(at(660)), None);
        assert!(silence.is_worth_a_word(at(720)));
    }

    #[test]
    fn an_absent_interface_is_not_called_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::new(start);
        silence.excuse(at(300));
        assert!(!silence.is_worth_a_word(at(330)));
        assert!(silence.is_worth_a_word(at(360)));
    }
}
