//! Rate of publishing to a topic: interval, deadband and heartbeat.
//!
//! All of it runs on the time of the readings, so that a recording replayed at any speed sends the
//! same messages. A reading without a time cannot be too early: it is sent.

use std::time::Duration;

use energi_decoders::Value;
use jiff::Timestamp;

use super::config::MqttConfig;

/// Rule for the messages of a topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rule {
    /// The least time between two messages.
    interval: Duration,
    /// Time after which an unchanged value is sent again.
    heartbeat: Duration,
    /// Smallest change of a number that is sent earlier; `None` where none was configured.
    deadband: Option<f64>,
}

/// Distance of a value from the one that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Change that is too small to be sent.
    None,
    /// Far enough.
    Moved,
    /// Change that does not wait for the interval.
    Urgent,
}

/// Something that a topic is about.
pub(super) trait Reported: Copy {
    /// Returns the distance from the value that was `sent`.
    fn change(&self, sent: &Self, deadband: f64) -> Change;
}

impl Reported for Value {
    fn change(&self, sent: &Self, deadband: f64) -> Change {
        match (self, sent) {
            (Self::Flag(now), Self::Flag(then)) if now != then => Change::Urgent,
            (Self::Choice(now), Self::Choice(then)) if now != then => Change::Urgent,
            _ if (self.as_f64() - sent.as_f64()).abs() > deadband => Change::Moved,
            _ => Change::None,
        }
    }
}

impl Rule {
    /// The rule for the values of `key`.
    pub(super) fn of(key: &str, config: &MqttConfig) -> Self {
        Self { deadband: config.deadband.get(key).copied(), ..Self::general(config) }
    }

    /// The rule for everything that has no deadband.
    pub(super) fn general(config: &MqttConfig) -> Self {
        Self {
            interval: config.interval.duration(),
            heartbeat: config.heartbeat.duration(),
            deadband: None,
        }
    }

    fn sends<T: Reported>(&self, value: &T, at: Option<Timestamp>, sent: &Sent<T>) -> bool {
        let (Some(at), Some(before)) = (at, sent.at) else { return true };
        // Without an interval every reading goes, but for what somebody wants less of.
        if self.interval.is_zero() && self.deadband.is_none() {
            return true;
        }
        // Backward too: a clock that was set back far does not silence a topic until it has caught
        // up, and frames a little out of order do not flood it.
        let elapsed = at.duration_since(before).unsigned_abs();
        match value.change(&sent.value, self.deadband.unwrap_or_default()) {
            Change::Urgent => true,
            Change::Moved => elapsed >= self.interval,
            Change::None => elapsed >= self.interval.max(self.heartbeat),
        }
    }
}

/// Value that a topic has been sent, and the one that waits.
#[derive(Debug, Clone)]
pub(super) struct Throttle<T> {
    sent: Option<Sent<T>>,
    held: Option<T>,
}

#[derive(Debug, Clone, Copy)]
struct Sent<T> {
    value: T,
    at: Option<Timestamp>,
}

impl<T> Default for Throttle<T> {
    fn default() -> Self {
        Self { sent: None, held: None }
    }
}

impl<T: Reported> Throttle<T> {
    /// Holds a new value until it is [due](Self::due).
    pub(super) fn hold(&mut self, value: T) {
        self.held = Some(value);
    }

    /// Takes a new value, and returns it if it is to be sent now. Otherwise it is held.
    pub(super) fn offer(&mut self, value: T, at: Option<Timestamp>, rule: &Rule) -> Option<T> {
        self.hold(value);
        self.due(at, rule)
    }

    /// Returns the held value, if the time has come to send it.
    pub(super) fn due(&mut self, at: Option<Timestamp>, rule: &Rule) -> Option<T> {
        let held = self.held.as_ref()?;
        if self.sent.as_ref().is_some_and(|sent| !rule.sends(held, at, sent)) {
            return None;
        }
        let value = self.held.take()?;
        self.sent = Some(Sent { value, at });
        Some(value)
    }

    /// Returns the held value if it is new: there will be no better time to send it.
    pub(super) fn last(&mut self) -> Option<T> {
        let value = self.held.take()?;
        let sent = self.sent.as_mut()?;
        let new = value.change(&sent.value, 0.0) != Change::None;
        sent.value = value;
        new.then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rule(interval: u32, heartbeat: u32, deadband: Option<f64>) -> Rule {
        Rule { interval: interval * SECOND, heartbeat: heartbeat * SECOND, deadband }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The seconds at which these numbers, one a second, are sent.
    fn sent(rule: &Rule, numbers: &[i64]) -> Vec<usize> {
        let mut throttle = Throttle::default();
        let offered = numbers.iter().zip(0..).map(|(number, second)| {
            throttle.offer(Value::Integer(*number), Some(at(second)), rule).is_some()
        });
        let offered: Vec<_> = offered.collect();
        (0..numbers.len()).filter(|second| offered[*second]).collect()
    }

    #[test]
    fn without_an_interval_only_a_deadband_holds_back() {
        assert_eq!(sent(&rule(0, 60, None), &[5, 5, 5, 6]), [0, 1, 2, 3]);
        assert_eq!(sent(&rule(0, 60, Some(1.0)), &[5, 5, 6, 7]), [0, 3]);
        assert_eq!(sent(&rule(0, 2, Some(1.0)), &[5, 5, 5, 5, 5]), [0, 2, 4]);
    }

    #[test]
    fn a_short_heartbeat_sends_at_the_interval() {
        assert_eq!(sent(&rule(3, 0, None), &[5; 8]), [0, 3, 6]);
        assert_eq!(sent(&rule(3, 5, None), &[5; 12]), [0, 5, 10]);
    }

    #[test]
    fn a_clock_set_back_silences_no_topic() {
        let rule = rule(10, 60, None);
        let mut throttle = Throttle::default();
        let mut offer = |number, second| {
            throttle.offer(Value::Integer(number), Some(at(second)), &rule).is_some()
        };
        assert!(offer(1, 10_000));
        assert!(!offer(2, 9_999));
        assert!(offer(3, 5_000));
        assert!(!offer(4, 5_009));
        assert!(offer(4, 5_010));
    }

    proptest! {
        #[test]
        fn every_topic_keeps_its_interval(
            interval in 0_u32..20,
            heartbeat in 0_u32..90,
            deadband in proptest::option::of(0_u8..50),
            readings in proptest::collection::vec((0_i64..30, 0_i64..200), 1..100),
        ) {
            let rule = rule(interval, heartbeat, deadband.map(f64::from));
            let every = interval == 0 && deadband.is_none();
            let width = deadband.map_or(0, i64::from);
            let mut throttle = Throttle::default();
            let (mut second, mut last): (i64, Option<(i64, i64)>) = (0, None);
            for (elapsed, number) in &readings {
                second += elapsed;
                let sends = throttle.offer(Value::Integer(*number), Some(at(second)), &rule).is_some();
                let Some((then, before)) = last else {
                    prop_assert!(sends, "the first one goes");
                    last = Some((second, *number));
                    continue;
                };
                let silence = second - then;
                if sends && !every {
                    prop_assert!(silence >= i64::from(interval), "too early");
                }
                if !sends {
                    let moved = (number - before).abs() > width;
                    prop_assert!(!every);
                    prop_assert!(!moved || silence < i64::from(interval), "held too long");
                    prop_assert!(silence < i64::from(heartbeat.max(interval)), "no sign of life");
                }
                if sends {
                    last = Some((second, *number));
                }
            }
            let end = throttle.last().map(Value::as_f64);
            let (newest, told) = (readings.last().unwrap().1, last.unwrap().1);
            prop_assert_eq!(end, (newest != told).then(|| Value::Integer(newest).as_f64()));
        }

        #[test]
        fn every_change_of_a_flag_goes_at_once(flags: Vec<bool>) {
            let rule = rule(10, 60, None);
            let mut throttle = Throttle::default();
            let mut told = None;
            for flag in flags {
                // All within one second.
                let sends = throttle.offer(Value::Flag(flag), Some(at(0)), &rule).is_some();
                prop_assert_eq!(sends, told != Some(flag));
                told = Some(flag);
            }
        }
    }
}
