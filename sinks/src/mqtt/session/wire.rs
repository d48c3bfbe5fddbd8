//! What goes over the connection, in both directions.

use std::time::Duration;

use rumqttc::{AsyncClient, ClientError, ConnectionError, Event, Incoming, Outgoing, QoS};
use tokio::time::Instant;
use tracing::warn;

use super::{Link, Session};
use crate::mqtt::failure::ConnectionFailure;
use crate::mqtt::message::Message;
use crate::mqtt::options::{ANSWER_WITHIN, LARGEST_PACKET};
use crate::runner::CEILING;
use crate::sink::Backpressure;

/// A connection that stood for so long was a good one. It is longer than the longest wait between
/// tries and the try itself: two clients of one id that take turns to connect never get so far.
pub(in crate::mqtt) const STOOD: Duration = CEILING.saturating_add(ANSWER_WITHIN);

/// What a packet has beside its topic and payload, at most (MQTT 3.1.1, 2.2 and 3.3).
const PACKET_OVERHEAD: usize = 1 + 4 + 2 + 2;

impl Session {
    /// Hands the connection as many messages as it takes.
    pub(super) fn feed(&mut self, client: &AsyncClient) {
        let now = Instant::now();
        loop {
            if self.restate && self.queue.backlog() == 0 {
                self.restate = false;
                self.queue.introduce(self.tracker.current());
            }
            let Some(message) = self.queue.next(now) else { break };
            let Message { topic, payload, qos, retain } = message;
            if topic.len() + payload.len() + PACKET_OVERHEAD > LARGEST_PACKET {
                warn!(sink = self.name, topic, "a message of more than 1 MiB is not sent");
                self.queue.skip();
                continue;
            }
            match client.try_publish(topic, (*qos).into(), *retain, payload.as_bytes()) {
                Ok(()) => self.queue.hand_over(now),
                // The channel is full: the rest follows once something was written.
                Err(ClientError::TryRequest(_) | ClientError::Request(_)) => return,
            }
        }
        self.settle();
        let leaves = self.closing.is_some() && self.queue.is_empty();
        if leaves && client.try_disconnect().is_ok() {
            self.link = Link::Leaving;
        }
    }

    pub(super) fn note(&mut self, event: Event, client: &AsyncClient) {
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => self.connected(client),
            Event::Incoming(Incoming::Publish(heard)) => {
                let (topic, payload) = (&heard.topic, &heard.payload);
                let answer = self.tracker.hear(topic, payload, heard.retain, Instant::now());
                if self.closing.is_none() {
                    self.enqueue(answer.into_iter().collect());
                }
            }
            Event::Incoming(Incoming::PubAck(acknowledged)) => {
                self.queue.acknowledged(acknowledged.pkid);
                self.settle();
            }
            Event::Outgoing(Outgoing::Publish(number)) => {
                self.queue.written(number);
                self.settle();
            }
            _ => {}
        }
    }

    fn connected(&mut self, client: &AsyncClient) {
        let now = Instant::now();
        self.link = Link::Up(now);
        self.holds = Some(now + STOOD);
        self.failure = None;
        self.log.connected(&self.config.url, self.backoff.tries());
        self.tracker.connected(now);
        for filter in self.tracker.subscriptions() {
            // There are fewer than the empty channel takes.
            if client.try_subscribe(&filter, QoS::AtLeastOnce).is_err() {
                warn!(sink = self.name, filter, "cannot subscribe");
            }
        }
        if self.closing.is_none() {
            // A replay that was never connected has everything among what waits.
            self.restate = self.introduced || self.backpressure == Backpressure::DropOldest;
            if self.restate {
                self.queue.introduce(self.tracker.online_messages());
            } else {
                self.queue.introduce([self.tracker.online()]);
            }
        } else if self.backpressure == Backpressure::DropOldest {
            self.queue.add(self.tracker.current());
            self.queue.add(self.tracker.offline_messages());
        }
        self.introduced = true;
    }

    pub(super) fn lost(&mut self, failure: ConnectionFailure) {
        if self.holds.take().is_some() {
            self.log.broke_early();
        }
        self.link = Link::Down;
        self.restate = false;
        self.queue.take_back();
        if self.backpressure == Backpressure::DropOldest {
            self.queue.forget();
        }
        self.failure = Some(failure);
    }

    pub(super) fn failure_of(&self, error: &ConnectionError) -> ConnectionFailure {
        ConnectionFailure::of(error, &self.config, self.stood())
    }

    /// For how long the connection has stood.
    fn stood(&self) -> Option<Duration> {
        match self.link {
            Link::Up(since) => Some(since.elapsed()),
            Link::Down | Link::Connecting | Link::Leaving => None,
        }
    }
}
