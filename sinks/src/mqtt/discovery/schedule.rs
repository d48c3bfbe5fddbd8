//! Times at which devices are announced and their values repeated.

use std::time::Duration;

use tokio::time::Instant;

use crate::sink::Backpressure;

/// Time in which the news of a start is gathered.
const GATHER: Duration = Duration::from_secs(1);

/// Least time between two announcements. Home Assistant drops a part of one that comes while it
/// still works on the one before.
const SPACING: Duration = Duration::from_secs(5);

/// Time that Home Assistant may take from an announcement until it listens to the values, which are
/// not retained.
const SETTLE: Duration = Duration::from_secs(3);

/// Work that has come due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Records whether the devices are to be announced.
    pub(super) announce: bool,
    /// Records whether the values of the devices are to follow.
    pub(super) values: bool,
    /// Records whether Home Assistant has asked.
    pub(super) asked: bool,
}

/// The two alarms of discovery.
#[derive(Debug)]
pub(super) struct Schedule {
    announce: Option<Instant>,
    values: Option<Instant>,
    announced: Option<Instant>,
    /// Records whether values follow an announcement by themselves. Those of a recording do not:
    /// the same messages are sent at any speed.
    live: bool,
    /// Records whether somebody has asked for everything.
    asked: bool,
}

impl Schedule {
    pub(super) const fn new(backpressure: Backpressure) -> Self {
        let live = matches!(backpressure, Backpressure::DropOldest);
        Self { announce: None, values: None, announced: None, live, asked: false }
    }

    /// Announces as soon as possible: the connection is new, and so is everything before it.
    pub(super) fn at_once(&mut self, now: Instant) {
        *self = Self { announce: Some(now), values: None, announced: None, ..*self };
    }

    /// Announces at a time, or earlier.
    pub(super) fn at(&mut self, time: Instant) {
        self.announce = Some(self.announce.map_or(time, |planned| planned.min(time)));
    }

    /// Announces what is new.
    pub(super) fn soon(&mut self, now: Instant) {
        self.after(GATHER, now);
    }

    /// Announces after a while, because somebody asks.
    pub(super) fn asked(&mut self, wait: Duration, now: Instant) {
        self.asked = true;
        self.after(wait, now);
    }

    fn after(&mut self, wait: Duration, now: Instant) {
        let spaced = self.announced.map(|announced| announced + SPACING);
        let wanted = spaced.map_or(now + wait, |spaced| spaced.max(now + wait));
        self.at(wanted);
    }

    /// The next alarm.
    pub(super) fn next(&self) -> Option<Instant> {
        self.announce.into_iter().chain(self.values).min()
    }

    /// Returns whether an announcement is still to come, which is over then.
    pub(super) fn cut_short(&mut self) -> bool {
        self.announce.take().is_some()
    }

    /// The alarm that has come due by `now`, which is over then.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        let due = |alarm: Option<Instant>| alarm.is_some_and(|alarm| alarm <= now);
        if due(self.announce) {
            self.announce = None;
            self.announced = Some(now);
            self.values = self.live.then_some(now + SETTLE);
            let asked = std::mem::take(&mut self.asked);
            Some(Due { announce: true, values: self.live || asked, asked })
        } else if due(self.values) {
            self.values = None;
            Some(Due { announce: false, values: true, asked: false })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Due = Due { announce: true, values: true, asked: false };
    const VALUES: Due = Due { announce: false, ..BOTH };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn values_are_repeated_after_an_announcement() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Backpressure::DropOldest);
        assert_eq!((schedule.next(), schedule.take(start)), (None, None));

        schedule.at_once(start);
        assert_eq!(schedule.take(start), Some(BOTH));
        assert_eq!(schedule.take(start), None);
        assert_eq!(schedule.next(), Some(start + SETTLE));
        assert_eq!(schedule.take(start + SETTLE), Some(VALUES));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn news_are_announced_together() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Backpressure::DropOldest);
        schedule.soon(start);
        schedule.soon(start + seconds(1));
        assert_eq!(schedule.next(), Some(start + GATHER));
        assert_eq!(schedule.take(start + GATHER), Some(BOTH));

        schedule.soon(start + GATHER);
        assert_eq!(schedule.take(start + GATHER + SPACING - seconds(1)), Some(VALUES));
        assert_eq!(schedule.take(start + GATHER + SPACING), Some(BOTH));
    }

    #[test]
    fn a_new_connection_knows_nothing_of_the_last_one() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Backpressure::DropOldest);
        schedule.at_once(start);
        schedule.take(start);
        schedule.at_once(start + seconds(1));
        assert_eq!(schedule.take(start + seconds(1)), Some(BOTH));
    }

    #[test]
    fn the_values_of_a_replay_do_not_depend_on_speed() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Backpressure::Wait);
        schedule.soon(start);
        assert_eq!(schedule.take(start + GATHER), Some(Due { values: false, ..BOTH }));
        assert_eq!(schedule.next(), None);

        schedule.asked(SPACING, start + GATHER);
        let asked = Due { asked: true, ..BOTH };
        assert_eq!(schedule.take(start + GATHER + SPACING), Some(asked));
        assert_eq!(schedule.next(), None);
    }
}
