//! Delivery at the pace of the capture, or a multiple of it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use crate::capture::Speed;

/// The longest wait in one piece, so that a source can be stopped.
const SLICE: Duration = Duration::from_millis(100);

/// A longer wait is announced.
const LONG: Duration = Duration::from_mins(1);

/// Holds packets back until they are due by the monotonic clock.
#[derive(Debug)]
pub struct Pacer {
    speed: Speed,
    /// A capture time and when it was due. Taken again whenever capture time goes backward: that
    /// never waits, and what follows keeps its pace.
    anchor: Option<Anchor>,
    /// The packet whose long wait was announced.
    announced: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    captured: Timestamp,
    due: Instant,
    /// The latest capture time seen since.
    latest: Timestamp,
}

impl Pacer {
    /// A pacer that has seen nothing.
    #[must_use]
    pub const fn new(speed: Speed) -> Self {
        Self { speed, anchor: None, announced: None }
    }

    /// Waits for a packet captured at `time`, at most 100 ms; whether it is due. Without a time, or
    /// at [`Speed::Max`], it always is.
    pub fn wait(&mut self, time: Option<Timestamp>) -> bool {
        let remaining = self.remaining(time, Instant::now());
        if remaining > LONG && self.announced != time {
            self.announced = time;
            let captured = time.map(tracing::field::display);
            info!(captured, "the next packet is due in {}", approximate(remaining));
        }
        if !remaining.is_zero() {
            std::thread::sleep(remaining.min(SLICE));
        }
        remaining <= SLICE
    }

    /// Returns how long after `now` a packet captured at `time` is due.
    fn remaining(&mut self, time: Option<Timestamp>, now: Instant) -> Duration {
        let (Speed::Times(times), Some(time)) = (self.speed, time) else {
            return Duration::ZERO;
        };
        let anchor = match &mut self.anchor {
            Some(anchor) if time >= anchor.latest => anchor,
            anchor => anchor.insert(Anchor { captured: time, due: now, latest: time }),
        };
        anchor.latest = time;
        let after = time.duration_since(anchor.captured).as_secs_f64() / times;
        // What is beyond the range of a duration is never due.
        let after = Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX);
        after.saturating_sub(now.saturating_duration_since(anchor.due))
    }
}

/// A wait to the second, such as `2h 3m 5s`.
fn approximate(wait: Duration) -> String {
    const CENTURY: u64 = 100 * 366 * 86_400;
    match i64::try_from(wait.as_secs()) {
        Ok(seconds) if wait.as_secs() < CENTURY => {
            let days = seconds / 86_400;
            let rest = SignedDuration::from_secs(seconds % 86_400);
            if days > 0 { format!("{days}d {rest:#}") } else { format!("{rest:#}") }
        }
        _ => "more than a hundred years".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(1_800_000_000 + second).ok()
    }

    #[test]
    fn a_packet_is_due_by_its_capture_time() {
        let mut pacer = Pacer::new(Speed::Times(60.0));
        let start = Instant::now();
        assert_eq!(pacer.remaining(at(0), start), Duration::ZERO);
        assert_eq!(pacer.remaining(at(60), start), Duration::from_secs(1));
        let later = start + Duration::from_millis(900);
        assert_eq!(pacer.remaining(at(60), later), Duration::from_millis(100));
        assert_eq!(pacer.remaining(at(60), start + Duration::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_shown_as_people_say_it() {
        assert_eq!(approximate(Duration::from_secs(7385)), "2h 3m 5s");
        assert_eq!(approximate(Duration::from_mins(4321)), "3d 1m");
        assert_eq!(approximate(Duration::MAX), "more than a hundred years");
    }

    #[test]
    fn capture_time_that_goes_back_never_waits() {
        let mut pacer = Pacer::new(Speed::Times(1.0));
        let start = Instant::now();
        assert_eq!(pacer.remaining(at(0), start), Duration::ZERO);
        let later = start + Duration::from_secs(10);
        assert_eq!(pacer.remaining(at(10), later), Duration::ZERO);
        assert_eq!(pacer.remaining(at(-86_400), later), Duration::ZERO);
        assert_eq!(pacer.remaining(at(-86_398), later), Duration::from_secs(2));
    }

    #[test]
    fn nothing_waits_at_full_speed_or_without_a_time() {
        let start = Instant::now();
        let mut full = Pacer::new(Speed::Max);
        assert_eq!(full.remaining(at(0), start), Duration::ZERO);
        assert_eq!(full.remaining(at(86_400), start), Duration::ZERO);
        let mut paced = Pacer::new(Speed::Times(1.0));
        assert_eq!(paced.remaining(at(0), start), Duration::ZERO);
        assert_eq!(paced.remaining(None, start), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_cut_short_by_a_stop() {
        let mut pacer = Pacer::new(Speed::Times(1.0));
        assert!(pacer.wait(at(0)));
        let before = Instant::now();
        assert!(!pacer.wait(at(3600)));
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}
