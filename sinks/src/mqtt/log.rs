//! Log of the connection: each event once, then a count.

use tracing::{info, warn};

use super::broker::BrokerUrl;
use super::failure::ConnectionFailure;
use crate::runner::Outage;

/// Log of the connection.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    /// Name of the sink.
    sink: String,
    /// Failures since a connection was last reported.
    outage: Outage,
    /// Records whether the last connection broke before it was a good one. To report the beginning
    /// and end of each of that kind would fill the log.
    brittle: bool,
    /// Readings that were skipped since then.
    skipped: usize,
    overtaken: bool,
}

impl ConnectionLog {
    pub(super) fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            outage: Outage::new(sink),
            brittle: false,
            skipped: 0,
            overtaken: false,
        }
    }

    /// Reports that there is no connection, or none any more.
    pub(super) fn failed(&mut self, failure: &ConnectionFailure) {
        self.outage.failed(failure);
    }

    /// Reports a connection.
    pub(super) fn connected(&mut self, broker: &BrokerUrl) {
        if !self.brittle {
            self.report(broker);
        }
    }

    /// Reports that the connection is a good one.
    pub(super) fn held(&mut self, broker: &BrokerUrl) {
        if self.brittle {
            self.report(broker);
        }
        self.brittle = false;
    }

    /// Notes that the connection broke before it was a good one.
    pub(super) fn broke_early(&mut self) {
        self.brittle = true;
    }

    /// Logs a connection. Failures after that are new: the log must not end with a connection that
    /// is gone.
    fn report(&mut self, broker: &BrokerUrl) {
        self.overtaken = false;
        let skipped = std::mem::take(&mut self.skipped);
        info!(sink = self.sink, skipped, "connected to {broker}");
        self.outage.recovered();
    }

    /// Counts readings that had no connection.
    pub(super) fn skipped(&mut self, readings: usize) {
        self.skipped += readings;
    }

    /// Reports messages that newer ones replaced before they could be sent.
    pub(super) fn overtaken(&mut self, messages: usize) {
        if !std::mem::replace(&mut self.overtaken, true) {
            warn!(
                sink = self.sink,
                messages, "the broker is too slow: newer values replace those that wait"
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
        let config: MqttConfig = serde_json::from_value(json!({"url": "mqtt://broker"})).unwrap();
        config.url.at(0).clone()
    }

    fn failure(text: &str) -> ConnectionFailure {
        ConnectionFailure::transient(text.to_owned())
    }

    fn count(logs: &Logs, words: &str) -> usize {
        logs.lines().iter().filter(|line| line.contains(words)).count()
    }

    #[test]
    fn each_reason_is_logged_once_until_connected() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        for _ in 0..3 {
            log.failed(&failure("nobody listens"));
            log.failed(&failure("no answer"));
        }
        log.skipped(7);
        log.connected(&broker);
        log.held(&broker);
        log.failed(&failure("no answer"));
        assert_eq!((count(&logs, "nobody listens"), count(&logs, "no answer")), (1, 2));
        assert_eq!(count(&logs, "connected to broker:1883"), 1);
        assert_eq!(count(&logs, "skipped=7"), 1);
    }

    #[test]
    fn an_unstable_connection_is_reported_once_it_holds() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        for _ in 0..3 {
            log.connected(&broker);
            log.broke_early();
            log.failed(&failure("somebody else uses the id"));
            log.skipped(1);
        }
        log.connected(&broker);
        assert_eq!((count(&logs, "connected to"), count(&logs, "somebody else")), (1, 1));
        log.held(&broker);
        assert_eq!((count(&logs, "connected to"), count(&logs, "skipped=3")), (2, 1));
    }

    #[test]
    fn the_last_line_is_not_of_a_connection_that_is_gone() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        log.failed(&failure("nobody listens"));
        for _ in 1..4 {
            log.connected(&broker);
            log.broke_early();
            log.failed(&failure("nobody listens"));
        }
        assert!(logs.lines().last().is_some_and(|line| line.contains("nobody listens")));
        assert_eq!(count(&logs, "nobody listens"), 2);
    }

    #[test]
    fn a_slow_broker_is_reported_once_a_connection() {
        let (logs, broker) = (Logs::capture(), broker());
        let mut log = ConnectionLog::new("mqtt");
        log.connected(&broker);
        for _ in 0..2 {
            log.overtaken(1);
            log.broke_early();
            log.connected(&broker);
        }
        assert_eq!(count(&logs, "too slow"), 1);
        log.held(&broker);
        log.overtaken(1);
        assert_eq!(count(&logs, "too slow"), 2);
    }
}
