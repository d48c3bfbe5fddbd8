//! What the log is told of the connection: each thing once, then a count.

use tracing::{info, warn};

use crate::mqtt::broker::BrokerUrl;
use crate::mqtt::failure::ConnectionFailure;

/// There are fewer reasons, but for texts that a strange server puts together.
const MOST_SAID: usize = 16;

/// What was said of the connection, and what is to be counted.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    /// The sink's name.
    sink: String,
    /// The reasons that were given since it was last said that there is a connection.
    said: Vec<ConnectionFailure>,
    /// Whether the last connection broke before it held. To say of each of its kind that it is
    /// there, and that it is gone, would fill the log.
    brittle: bool,
    /// Readings that were skipped since then.
    skipped: usize,
    overtaken: bool,
}

impl ConnectionLog {
    pub(super) fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            said: Vec::new(),
            brittle: false,
            skipped: 0,
            overtaken: false,
        }
    }

    /// There is no connection, or none any more.
    pub(super) fn failed(&mut self, failure: &ConnectionFailure) {
        if self.said.contains(failure) {
            return;
        }
        warn!(sink = self.sink, "{failure}; trying again");
        if self.said.len() == MOST_SAID {
            self.said.remove(0);
        }
        self.said.push(failure.clone());
    }

    /// A connection stands, after so many waits.
    pub(super) fn connected(&mut self, broker: &BrokerUrl, tries: u64) {
        if !self.brittle {
            self.say_connected(broker, tries);
        }
    }

    /// It has stood long enough to be a good one.
    pub(super) fn held(&mut self, broker: &BrokerUrl, tries: u64) {
        if self.brittle {
            self.say_connected(broker, tries);
        }
        self.brittle = false;
    }

    /// It broke before it had stood so long.
    pub(super) fn broke_early(&mut self) {
        self.brittle = true;
    }

    /// What goes wrong from here on is new: the log must not end on a connection that is gone.
    fn say_connected(&mut self, broker: &BrokerUrl, tries: u64) {
        self.overtaken = false;
        let skipped = std::mem::take(&mut self.skipped);
        if self.said.is_empty() {
            info!(sink = self.sink, "connected to {broker}");
        } else {
            info!(sink = self.sink, tries, skipped, "connected to {broker} after all");
        }
        self.said.clear();
    }

    /// Counts readings that are skipped for lack of a connection.
    pub(super) fn skipped(&mut self, readings: usize) {
        self.skipped += readings;
    }

    /// Messages were dropped, because newer ones came before they could be sent.
    pub(super) fn overtaken(&mut self, messages: usize) {
        if !std::mem::replace(&mut self.overtaken, true) {
            warn!(
                sink = self.sink,
                messages, "the broker is too slow: newer values take the place of those that wait"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mqtt::config::MqttConfig;
    use support::logs::Logs;

    fn broker() -> BrokerUrl {
        serde_json::from_value::<MqttConfig>(json!({"url": "mqtt://broker"})).unwrap().url
    }

    fn failure(text: &str) -> ConnectionFailure {
        ConnectionFailure::passing(text.to_owned())
    }

    #[test]
    fn each_reason_is_given_once_until_there_is_a_connection() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        for _ in 0..3 {
            log.failed(&failure("nobody listens"));
            log.failed(&failure("no answer"));
        }
        log.skipped(7);
        log.connected(&broker, 6);
        log.held(&broker, 6);
        log.failed(&failure("no answer"));
        log.connected(&broker, 1);
        assert_eq!(
            logs.lines(),
            [
                "WARN nobody listens; trying again sink=\"mqtt\"",
                "WARN no answer; trying again sink=\"mqtt\"",
                "INFO connected to broker:1883 after all sink=\"mqtt\" tries=6 skipped=7",
                "WARN no answer; trying again sink=\"mqtt\"",
                "INFO connected to broker:1883 after all sink=\"mqtt\" tries=1 skipped=0",
            ]
        );
    }

    #[test]
    fn a_connection_that_breaks_again_and_again_is_there_once_it_holds() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        for tries in 0..3 {
            log.connected(&broker, tries);
            log.broke_early();
            log.failed(&failure("somebody else uses the id"));
            log.skipped(1);
        }
        log.connected(&broker, 3);
        assert_eq!(
            logs.lines(),
            [
                "INFO connected to broker:1883 sink=\"mqtt\"",
                "WARN somebody else uses the id; trying again sink=\"mqtt\"",
            ]
        );
        log.held(&broker, 3);
        let last = "INFO connected to broker:1883 after all sink=\"mqtt\" tries=3 skipped=3";
        assert_eq!(logs.lines()[2..], [last]);
    }

    #[test]
    fn a_connection_that_was_said_and_breaks_soon_is_not_the_last_that_is_said() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        log.failed(&failure("nobody listens"));
        for tries in 1..4 {
            log.connected(&broker, tries);
            log.broke_early();
            log.failed(&failure("nobody listens"));
        }
        assert_eq!(
            logs.lines(),
            [
                "WARN nobody listens; trying again sink=\"mqtt\"",
                "INFO connected to broker:1883 after all sink=\"mqtt\" tries=1 skipped=0",
                "WARN nobody listens; trying again sink=\"mqtt\"",
            ]
        );
    }

    #[test]
    fn a_broker_that_is_too_slow_is_said_once_a_connection_that_is_said() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        let slow = || logs.lines().iter().filter(|line| line.contains("too slow")).count();
        log.connected(&broker, 0);
        for _ in 0..2 {
            log.overtaken(1);
            log.broke_early();
            log.connected(&broker, 1);
        }
        assert_eq!(slow(), 1);
        log.held(&broker, 1);
        log.overtaken(1);
        assert_eq!(slow(), 2);
    }
}
