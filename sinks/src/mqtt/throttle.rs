//! How often a topic is published to: interval, deadband and heartbeat.
//!
//! All of it runs on the time of the readings, so that a recording replayed at any speed sends the
//! same messages. A reading without a time cannot be too early: it is sent.

use std::time::Duration;

use energi_decoders::Value;
use jiff::Timestamp;

use super::config::Config;

/// What a topic is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rule {
    /// The least time between two messages.
    interval: Duration,
    /// What has not moved is sent again after this time.
    heartbeat: Duration,
    /// By how much a number must move to be sent earlier; `None` where none was configured.
    deadband: Option<f64>,
}

/// How far something is from what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Not far enough to be sent.
    None,
    /// Far enough.
    Moved,
    /// It does not wait for the interval.
    Urgent,
}

/// Something that a topic is about.
pub(super) trait Reported: Copy {
    /// How far it is from what was `sent`.
    fn change(&self, sent: &Self, deadband: f64) -> Change;
}

impl Reported for Value {
    fn change(&self, sent: &Self, deadband: f64) -> Change {
        match (self, sent) {
            (Self::Flag(now), Self::Flag(then)) if now != then => Change::Urgent,
            _ if (self.as_f64() - sent.as_f64()).abs() > deadband => Change::Moved,
            _ => Change::None,
        }
    }
}

impl Rule {
    /// The rule for the values of `key`.
    pub(super) fn of(key: &str, config: &Config) -> Self {
        Self { deadband: config.deadband.get(key).copied(), ..Self::general(config) }
    }

    /// The rule for everything that has no deadband.
    pub(super) fn general(config: &Config) -> Self {
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

/// What a topic has been sent, and what waits to be.
#[derive(Debug, Clone)]
pub(super) struct Gauge<T> {
    sent: Option<Sent<T>>,
    held: Option<T>,
}

#[derive(Debug, Clone, Copy)]
struct Sent<T> {
    value: T,
    at: Option<Timestamp>,
}

impl<T> Default for Gauge<T> {
    fn default() -> Self {
        Self { sent: None, held: None }
    }
}

impl<T: Reported> Gauge<T> {
    /// Takes a new value, and returns it if it is to be sent now. Otherwise it is held.
    pub(super) fn offer(&mut self, value: T, at: Option<Timestamp>, rule: &Rule) -> Option<T> {
        self.held = Some(value);
        self.due(at, rule)
    }

    /// What is held, if the time has come to send it.
    pub(super) fn due(&mut self, at: Option<Timestamp>, rule: &Rule) -> Option<T> {
        let held = self.held.as_ref()?;
        if self.sent.as_ref().is_some_and(|sent| !rule.sends(held, at, sent)) {
            return None;
        }
        let value = self.held.take()?;
        self.sent = Some(Sent { value, at });
        Some(value)
    }

    /// What is held and says something new: there will be no better time to send it.
    pub(super) fn last(&mut self) -> Option<T> {
        let value = self.held.take()?;
        let sent = self.sent.as_mut()?;
        let new = value.change(&sent.value, 0.0) != Change::None;
        sent.value = value;
        new.then_some(value)
    }
}
