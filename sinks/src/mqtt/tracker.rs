//! Translation of readings to messages: the devices, whether each is received, and what others are
//! told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::config::MqttConfig;
use super::device::{DeviceState, PublishPlan};
use super::discovery::{Announcement, Announcer};
use super::message::Message;
use super::presence::Repairs;
use super::topics::{OFFLINE, ONLINE, Topics};
use crate::sink::{Backpressure, Context};

/// Devices, and the messages about them.
///
/// There are as many devices as the gateway lets in: those that are listed, and `devices.max`
/// others. Each has as many topics as there are keys switched on.
#[derive(Debug)]
pub(super) struct DeviceTracker {
    /// Name of the sink, for messages.
    name: String,
    topics: Topics,
    plan: Arc<PublishPlan>,
    announcer: Option<Announcer>,
    devices: BTreeMap<u32, TrackedDevice>,
    repairs: Repairs,
    warned: bool,
    timeout: Duration,
    backpressure: Backpressure,
    /// Capture time of the newest reading of any device.
    clock: Option<Timestamp>,
}

#[derive(Debug)]
struct TrackedDevice {
    state: DeviceState,
    received: Instant,
    /// State of the tracker's clock at the newest reading.
    seen: Option<Timestamp>,
    available: bool,
    /// Number of own `offline` messages that the broker will return on this connection.
    own_offline: u32,
}

impl DeviceTracker {
    pub(super) fn new(config: &MqttConfig, context: &Context) -> Self {
        let topics = Topics::new(&config.topic);
        Self {
            name: context.name.clone(),
            plan: Arc::new(PublishPlan::new(config, context)),
            announcer: Announcer::new(config, &topics, context),
            devices: BTreeMap::new(),
            repairs: Repairs::default(),
            warned: false,
            timeout: config.device_timeout.duration(),
            backpressure: context.backpressure,
            clock: None,
            topics,
        }
    }

    /// Takes the filters to subscribe to: on a new connection all, later those of new devices.
    pub(super) fn take_subscriptions(&mut self) -> Vec<String> {
        self.announcer.as_mut().map(Announcer::take_subscriptions).unwrap_or_default()
    }

    /// Takes a reading, and adds the messages that are to be sent now.
    pub(super) fn take(&mut self, reading: &Reading, now: Instant, messages: &mut Vec<Message>) {
        if let Some(announcer) = &mut self.announcer {
            announcer.observe(reading, now);
        }
        let advances = reading.time > self.clock;
        self.clock = self.clock.max(reading.time);
        let plan = &self.plan;
        let device = self.devices.entry(reading.serial).or_insert_with(|| TrackedDevice {
            state: DeviceState::new(reading.serial, plan),
            received: now,
            seen: None,
            available: false,
            own_offline: 0,
        });
        device.received = now;
        device.seen = self.clock;
        if !device.available {
            device.available = true;
            device.state.set_silent(false, messages);
            messages.push(Message::lasting(self.topics.availability(reading.serial), ONLINE));
        }
        device.state.take(reading, messages);
        if self.backpressure == Backpressure::Wait && advances {
            let (clock, timeout) = (self.clock, self.timeout);
            self.silent(|device| is_past(device.seen, clock, timeout), messages);
        }
    }

    /// Adds what follows from the time that has passed.
    ///
    /// In a recording the time is the newest of all readings so far, however fast the recording is
    /// replayed. A device whose own clock is slow, or whose readings come late, is not lost.
    pub(super) fn tick(&mut self, now: Instant, messages: &mut Vec<Message>) {
        if self.backpressure == Backpressure::DropOldest {
            let timeout = self.timeout;
            self.silent(|device| now >= device.received + timeout, messages);
        }
        for (topic, suspicious) in self.repairs.take(now) {
            if suspicious && !std::mem::replace(&mut self.warned, true) {
                warn!(
                    sink = self.name,
                    topic,
                    "another gateway publishes to the topics of this one: give each gateway its own \
                     `topic`, or run only one"
                );
            }
            self.repair(&topic, now, messages);
        }
    }

    fn repair(&mut self, topic: &str, now: Instant, messages: &mut Vec<Message>) {
        if topic == self.topics.bridge_state() {
            messages.push(self.online());
        } else if let Some(serial) = self.topics.serial_of_availability(topic) {
            if self.devices.get(&serial).is_some_and(|device| device.available) {
                messages.push(Message::lasting(topic.to_owned(), ONLINE));
            }
        } else if let Some(announcer) = &mut self.announcer {
            announcer.repeat(now);
        }
    }

    /// Returns when [`tick`](Self::tick) will have something to do.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let available = self.devices.values().filter(|device| device.available);
        let received = available.map(|device| device.received).min();
        let live = received.filter(|_| self.backpressure == Backpressure::DropOldest);
        live.map(|received| received + self.timeout).into_iter().chain(self.repairs.next()).min()
    }

    fn silent(&mut self, is_silent: impl Fn(&TrackedDevice) -> bool, messages: &mut Vec<Message>) {
        for (serial, device) in &mut self.devices {
            if device.available && is_silent(device) {
                device.available = false;
                device.state.finish(messages);
                device.state.set_silent(true, messages);
                messages.push(Message::lasting(self.topics.availability(*serial), OFFLINE));
            }
        }
    }

    /// Begins a connection.
    pub(super) fn connected(&mut self, now: Instant) {
        self.repairs.cancel();
        self.devices.values_mut().for_each(|device| device.own_offline = 0);
        if let Some(announcer) = &mut self.announcer {
            announcer.connected(self.devices.keys().copied(), now);
        }
    }

    /// Notes that the connection has taken a message, which the broker will return.
    pub(super) fn sent(&mut self, topic: &str, payload: &str) {
        if payload == OFFLINE
            && let Some(serial) = self.topics.serial_of_availability(topic)
            && let Some(device) = self.devices.get_mut(&serial)
        {
            device.own_offline += 1;
        }
    }

    /// Filters to which every connection subscribes before anything is published.
    pub(super) fn subscriptions(&self) -> [String; 2] {
        [self.topics.bridge_state(), self.topics.every_availability()]
    }

    /// Messages that say who is there: the gateway, and each device that was received.
    pub(super) fn online_messages(&self) -> Vec<Message> {
        let mut messages = vec![self.online()];
        for (serial, device) in &self.devices {
            let word = if device.available { ONLINE } else { OFFLINE };
            messages.push(Message::lasting(self.topics.availability(*serial), word));
        }
        messages
    }

    /// Message that says that the gateway runs.
    pub(super) fn online(&self) -> Message {
        Message::lasting(self.topics.bridge_state(), ONLINE)
    }

    /// Message that says that the gateway does not run; also the last will.
    pub(super) fn offline(&self) -> Message {
        Message::lasting(self.topics.bridge_state(), OFFLINE)
    }

    /// Messages that say that nobody is there any more: no device, and not the gateway.
    pub(super) fn offline_messages(&self) -> Vec<Message> {
        let devices = self.devices.keys().map(|serial| self.topics.availability(*serial));
        let offline = devices.map(|topic| Message::lasting(topic, OFFLINE));
        offline.chain([self.offline()]).collect()
    }

    /// Returns when there is something to [announce](Self::announcement).
    pub(super) fn announces(&self) -> Option<Instant> {
        self.announcer.as_ref().and_then(Announcer::due)
    }

    /// Announcement for Home Assistant, once it is due.
    pub(super) fn announcement(&mut self, now: Instant) -> Option<Announcement> {
        let announcer = self.announcer.as_mut()?;
        let mut announcement = announcer.act(now)?;
        // The broker may have kept `online` from before a crash.
        let absent: Vec<u32> = announcer.unheard().collect();
        for serial in absent {
            let topic = self.topics.availability(serial);
            announcement.messages.push(Message::lasting(topic, OFFLINE));
        }
        if announcement.asked {
            announcement.messages.splice(0..0, self.online_messages());
        }
        Some(announcement)
    }

    /// Stops reading what was announced before: something there is too large.
    pub(super) fn look_no_further(&mut self) {
        if let Some(announcer) = &mut self.announcer {
            announcer.look_no_further();
        }
    }

    /// The newest value of every topic.
    pub(super) fn current(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.devices.values().for_each(|device| device.state.current(&mut messages));
        messages
    }

    /// Returns whether no device was received so far.
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The last values, and the word that nothing follows.
    pub(super) fn last_messages(&mut self, now: Instant) -> Vec<Message> {
        self.repairs.cancel();
        let announcer = self.announcer.as_mut();
        let mut messages = announcer.map(|it| it.finish(now)).unwrap_or_default();
        for (serial, device) in &mut self.devices {
            device.state.finish(&mut messages);
            if device.available {
                device.available = false;
                messages.push(Message::lasting(self.topics.availability(*serial), OFFLINE));
            }
        }
        messages.push(self.offline());
        messages
    }

    /// Takes a message of one of the subscriptions.
    pub(super) fn hear(&mut self, topic: &str, payload: &[u8], retained: bool, now: Instant) {
        let online = payload == ONLINE.as_bytes();
        if topic == self.topics.bridge_state() {
            // The broker has noticed that an earlier connection broke, and publishes its last will;
            // or another gateway with this topic has stopped.
            if !retained && !online {
                self.repairs.plan(topic, now);
            }
        } else if let Some(serial) = self.topics.serial_of_availability(topic) {
            if retained {
                if let Some(announcer) = &mut self.announcer {
                    announcer.look_for(serial, now);
                }
            } else if let Some(device) = self.devices.get_mut(&serial)
                && !online
            {
                if payload == OFFLINE.as_bytes() && device.own_offline > 0 {
                    device.own_offline -= 1;
                } else if device.available {
                    self.repairs.plan(topic, now);
                }
            }
        } else if let Some(announcer) = &mut self.announcer
            && announcer.hear(topic, payload, retained, now)
        {
            self.repairs.plan(topic, now);
        }
    }
}

/// Returns whether the clock has moved on by the time limit since a device was `seen`.
fn is_past(seen: Option<Timestamp>, clock: Option<Timestamp>, timeout: Duration) -> bool {
    let times = clock.zip(seen);
    times.is_some_and(|(clock, seen)| clock.duration_since(seen).unsigned_abs() >= timeout)
}
