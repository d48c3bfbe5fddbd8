//! Requests to the session, and its answers.

use std::sync::Arc;

use energi_decoders::Reading;
use tokio::time::Instant;
use tracing::warn;

use super::{Answer, Link, REMIND_EVERY, Session};
use crate::mqtt::message::Message;
use crate::sink::{Backpressure, SinkError};

/// Number of messages that may wait for a live connection before the newest values replace them.
const LONGEST_BACKLOG: usize = 4_096;

impl Session {
    pub(super) fn publish(&mut self, batch: &[Arc<Reading>], answer: Answer<usize>) {
        let now = Instant::now();
        let mut messages = Vec::new();
        for reading in batch {
            self.tracker.take(reading, now, &mut messages);
        }
        self.subscribe();
        self.enqueue(messages);
        match self.backpressure {
            Backpressure::DropOldest => {
                let skipped = if self.is_up() { 0 } else { batch.len() };
                self.log.skipped(skipped);
                // Who asked may have gone.
                let _ = answer.send(Ok(skipped));
            }
            Backpressure::Wait => {
                self.delivering = Some(answer);
                self.remind.get_or_insert(now + REMIND_EVERY);
                self.settle();
            }
        }
    }

    pub(super) fn close(&mut self, answer: Answer<()>) {
        if !self.introduced && self.tracker.is_empty() {
            // There is nothing to say, and nobody knows of this gateway.
            let _ = answer.send(Ok(()));
            return;
        }
        let messages = self.tracker.last_messages(Instant::now());
        // First: newer messages replace those that wait, but nothing is newer than the last ones.
        self.closing = Some(answer);
        self.enqueue(messages);
        self.remind.get_or_insert(Instant::now() + REMIND_EVERY);
    }

    /// Adds messages to those that wait. A live gateway without a connection has no use for them:
    /// the next connection begins with what is current then.
    pub(super) fn enqueue(&mut self, messages: Vec<Message>) {
        if self.backpressure == Backpressure::DropOldest && !self.is_up() {
            return;
        }
        self.queue.add(messages);
        if self.backpressure == Backpressure::DropOldest
            && self.closing.is_none()
            && self.queue.backlog() > LONGEST_BACKLOG
        {
            let dropped = self.queue.forget();
            self.tracker.connected(Instant::now());
            self.subscribe();
            self.queue.introduce(self.tracker.online_messages());
            self.restate = true;
            self.log.overtaken(dropped);
        }
    }

    /// Answers who waits for everything to be delivered.
    pub(super) fn settle(&mut self) {
        if !self.queue.is_empty() || self.restate {
            return;
        }
        if let Some(answer) = self.delivering.take() {
            let _ = answer.send(Ok(0));
        }
    }

    /// Returns whether the session ends without a connection. Waiting requests get the reason.
    pub(super) fn gives_up(&mut self) -> bool {
        let Some(failure) = self.failure.as_ref().filter(|_| self.link == Link::Down) else {
            return false;
        };
        match self.backpressure {
            // Nothing is lost that would still be of use.
            Backpressure::DropOldest => {
                if self.closing.is_some() {
                    warn!(sink = self.name, "the last values are not delivered: {failure}");
                    self.closed(Ok(()));
                    return true;
                }
                false
            }
            // Each broker in turn.
            Backpressure::Wait if self.permanent_failures >= self.config.url.all().len() => {
                let broken = || SinkError::permanent(failure.to_string());
                if let Some(answer) = self.delivering.take() {
                    let _ = answer.send(Err(broken()));
                    return true;
                }
                if let Some(answer) = self.closing.take() {
                    let _ = answer.send(Err(broken()));
                    return true;
                }
                false
            }
            Backpressure::Wait => false,
        }
    }

    pub(super) fn closed(&mut self, how: Result<(), SinkError>) {
        if let Some(answer) = self.closing.take() {
            let _ = answer.send(how);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::tz::TimeZone;
    use serde_json::json;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::mqtt::queue::Step;
    use crate::mqtt::topics::OFFLINE;
    use crate::sink::Context;
    use crate::status::StatusHandle;

    /// A session that a broker has accepted.
    fn connected() -> Session {
        let config = serde_json::from_value(json!({"url": "mqtt://broker", "discovery": false}));
        let context = Context {
            name: "mqtt".to_owned(),
            site: None,
            timezone: TimeZone::UTC,
            device_names: Arc::new(BTreeMap::new()),
            only_devices: None,
            layouts: Arc::new([]),
            live: true,
            backpressure: Backpressure::DropOldest,
            tariff: None,
            status: StatusHandle::default(),
        };
        let mut session = Session::new(config.unwrap(), &context, mpsc::channel(1).1);
        session.connected();
        session
    }

    #[test]
    fn the_farewell_is_not_replaced_by_newer_messages() {
        let mut session = connected();
        let backlog = (0..LONGEST_BACKLOG).map(|number| Message::lasting(number.to_string(), ""));
        session.queue.add(backlog);
        session.close(oneshot::channel().0);
        let mut last = None;
        while let Some(step) = session.queue.next(Instant::now()) {
            session.queue.hand_over(Instant::now());
            last = Some(step);
        }
        let farewell = Message::lasting("myenergi/bridge/state".to_owned(), OFFLINE);
        assert_eq!(last, Some(Step::Publish(farewell)));
    }
}
