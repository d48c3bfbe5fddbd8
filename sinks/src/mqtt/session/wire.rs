//! Traffic of the connection, in both directions.

use rumqttc::{AsyncClient, ClientError, Event, Incoming, Outgoing, SubscribeReasonCode};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Link, Session};
use crate::mqtt::connection::LARGEST_SENT;
use crate::mqtt::failure::{ConnectionFailure, FailureKind, GOOD_CONNECTION};
use crate::mqtt::message::{Message, QoS};
use crate::mqtt::queue::Step;
use crate::mqtt::topics::ONLINE;
use crate::sink::Backpressure;

/// Size of a packet beside its topic and payload, at most (MQTT 3.1.1, 2.2 and 3.3).
const PACKET_OVERHEAD: usize = 1 + 4 + 2 + 2;

impl Session {
    /// Asks for the topics that the devices seen lately need.
    pub(super) fn subscribe(&mut self) {
        if self.is_up() {
            self.queue
                .introduce(self.tracker.take_subscriptions().into_iter().map(Step::Subscribe));
        }
    }

    /// Hands the connection as many messages as it takes.
    pub(super) fn feed(&mut self, client: &AsyncClient) {
        let now = Instant::now();
        loop {
            if self.restate && self.queue.backlog() == 0 {
                self.restate = false;
                self.queue.introduce(self.tracker.current());
            }
            let Some(step) = self.queue.next(now) else { break };
            let handed = match step.clone() {
                // At QoS 1 a broker may keep a queue for each, which a cluster elects leaders of.
                Step::Subscribe(filter) => client.try_subscribe(filter, rumqttc::QoS::AtMostOnce),
                Step::Publish(Message { topic, payload, qos, retain }) => {
                    if topic.len() + payload.len() + PACKET_OVERHEAD > LARGEST_SENT {
                        warn!(sink = self.name, topic, "a message of more than 1 MiB is not sent");
                        self.queue.skip();
                        continue;
                    }
                    let qos = if self.queue.is_careful() { QoS::AtLeastOnce } else { qos };
                    client.try_publish(topic, qos.into(), retain, payload)
                }
            };
            match handed {
                Ok(()) => {
                    self.queue.hand_over(now);
                    if let Step::Publish(message) = step {
                        self.tracker.sent(&message.topic, &message.payload);
                    }
                }
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

    pub(super) fn note(&mut self, event: Event) {
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => self.connected(),
            Event::Incoming(Incoming::Publish(heard)) => {
                if !heard.retain && heard.topic == self.topics.bridge_state() {
                    self.echo = None;
                    self.echo_missed &= heard.payload != ONLINE.as_bytes();
                }
                if self.closing.is_none() {
                    let now = Instant::now();
                    self.tracker.hear(&heard.topic, &heard.payload, heard.retain, now);
                    self.subscribe();
                }
            }
            Event::Incoming(Incoming::SubAck(answer)) => {
                if let Some(filter) = self.queue.subscription_answered(answer.pkid) {
                    let refused = answer.return_codes.contains(&SubscribeReasonCode::Failure);
                    self.subscription_answered(&filter, refused);
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
            Event::Outgoing(Outgoing::Subscribe(number)) => {
                self.queue.subscription_written(number);
            }
            _ => {}
        }
    }

    pub(super) fn connected(&mut self) {
        let now = Instant::now();
        self.link = Link::Up(now);
        self.good = Some(now + GOOD_CONNECTION);
        self.failure = None;
        let broker = self.broker().clone();
        self.log.connected(&broker);
        self.tracker.connected(now);
        self.queue.introduce(self.tracker.subscriptions().map(Step::Subscribe));
        self.subscribe();
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

    /// Takes note of the end of a connection, and returns its reason as far as it is known.
    pub(super) fn lost(&mut self, failure: ConnectionFailure) -> ConnectionFailure {
        let early = self.good.take().is_some();
        debug!(sink = self.name, ?failure, early, "connection ended");
        if early {
            self.log.broke_early();
        }
        match failure.kind {
            FailureKind::Away => self.queue.forgive(),
            FailureKind::TooLarge => self.tracker.look_no_further(),
            FailureKind::Closed | FailureKind::Permanent => {}
        }
        let culprit = self.queue.lost(early && failure.kind == FailureKind::Closed);
        let failure = culprit.and_then(|step| self.blame(&step)).unwrap_or(failure);
        let permanent = failure.kind == FailureKind::Permanent;
        self.permanent_failures = if permanent { self.permanent_failures + 1 } else { 0 };
        self.link = Link::Down;
        self.echo = None;
        self.restate = false;
        if self.backpressure == Backpressure::DropOldest {
            self.queue.forget();
        }
        self.failure = Some(failure.clone());
        failure
    }
}
