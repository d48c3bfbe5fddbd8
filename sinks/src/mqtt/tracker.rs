//! From readings to messages: the devices, whether each is heard, and what others are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use jiff::Timestamp;
use tokio::time::Instant;

use super::config::MqttConfig;
use super::device::{DeviceState, PublishPlan};
use super::discovery::{Announcement, Announcer};
use super::message::Message;
use super::topics::{OFFLINE, ONLINE, Topics};
use crate::sink::{Backpressure, Context};

/// What the sink knows, and what it says of it.
///
/// There are as many devices as the gateway lets in: those that are listed, and `devices.max`
/// others. Each has as many topics as there are keys switched on.
#[derive(Debug)]
pub(super) struct DeviceTracker {
    topics: Topics,
    plan: Arc<PublishPlan>,
    announcer: Option<Announcer>,
    devices: BTreeMap<u32, TrackedDevice>,
    timeout: Duration,
    backpressure: Backpressure,
}

#[derive(Debug)]
struct TrackedDevice {
    device: DeviceState,
    heard: Instant,
    available: bool,
}

impl DeviceTracker {
    pub(super) fn new(config: &MqttConfig, context: &Context) -> Self {
        let topics = Topics::new(&config.topic);
        Self {
            plan: Arc::new(PublishPlan::new(config, context)),
            announcer: Announcer::new(config, &topics, context),
            devices: BTreeMap::new(),
            timeout: config.device_timeout.duration(),
            backpressure: context.backpressure,
            topics,
        }
    }

    /// What to subscribe to on every connect.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        let mut filters = vec![self.topics.bridge_state()];
        filters.extend(self.announcer.iter().flat_map(Announcer::subscriptions));
        filters
    }

    /// Takes a reading, and adds the messages that are to be sent now.
    pub(super) fn take(&mut self, reading: &Reading, now: Instant, messages: &mut Vec<Message>) {
        let Self { topics, plan, announcer, devices, .. } = self;
        if let Some(announcer) = announcer {
            announcer.observe(reading, now);
        }
        let known = devices.entry(reading.serial).or_insert_with(|| {
            let device = DeviceState::new(reading.serial, plan);
            TrackedDevice { device, heard: now, available: false }
        });
        known.heard = now;
        if !known.available {
            known.available = true;
            messages.push(Message::lasting(topics.availability(reading.serial), ONLINE));
        }
        known.device.take(reading, messages);
        if self.backpressure == Backpressure::Wait
            && let Some(time) = reading.time
        {
            let timeout = self.timeout;
            self.silent(|known| is_past(known, time, timeout), messages);
        }
    }

    /// Adds what follows from the time that has passed.
    ///
    /// In a recording the time is that of the readings: a device is lost when another one is heard
    /// so much later, however fast the recording is replayed.
    pub(super) fn tick(&mut self, now: Instant, messages: &mut Vec<Message>) {
        if self.backpressure == Backpressure::DropOldest {
            let timeout = self.timeout;
            self.silent(|known| now >= known.heard + timeout, messages);
        }
    }

    /// When [`tick`](Self::tick) will have something to say.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let available = self.devices.values().filter(|known| known.available);
        let heard = available.map(|known| known.heard).min();
        heard
            .filter(|_| self.backpressure == Backpressure::DropOldest)
            .map(|heard| heard + self.timeout)
    }

    fn silent(&mut self, is_silent: impl Fn(&TrackedDevice) -> bool, messages: &mut Vec<Message>) {
        for (serial, known) in &mut self.devices {
            if known.available && is_silent(known) {
                known.available = false;
                known.device.finish(messages);
                messages.push(Message::lasting(self.topics.availability(*serial), OFFLINE));
            }
        }
    }

    /// A connection is there.
    pub(super) fn connected(&mut self, now: Instant) {
        if let Some(announcer) = &mut self.announcer {
            announcer.connected(now);
        }
    }

    /// Who is there: the gateway, and each device that was heard.
    pub(super) fn online_messages(&self) -> Vec<Message> {
        let mut messages = vec![self.online()];
        for (serial, known) in &self.devices {
            let word = if known.available { ONLINE } else { OFFLINE };
            messages.push(Message::lasting(self.topics.availability(*serial), word));
        }
        messages
    }

    /// That the gateway runs.
    pub(super) fn online(&self) -> Message {
        Message::lasting(self.topics.bridge_state(), ONLINE)
    }

    /// That the gateway does not run; also said by the broker if the connection breaks.
    pub(super) fn offline(&self) -> Message {
        Message::lasting(self.topics.bridge_state(), OFFLINE)
    }

    /// That nobody is there any more: no device that was heard, and not the gateway.
    pub(super) fn offline_messages(&self) -> Vec<Message> {
        let devices = self.devices.keys().map(|serial| self.topics.availability(*serial));
        let offline = devices.map(|topic| Message::lasting(topic, OFFLINE));
        offline.chain([self.offline()]).collect()
    }

    /// When there is something to [announce](Self::announcement).
    pub(super) fn announces(&self) -> Option<Instant> {
        self.announcer.as_ref().and_then(Announcer::due)
    }

    /// What Home Assistant is told of the devices, once it is due.
    pub(super) fn announcement(&mut self, now: Instant) -> Option<Announcement> {
        let announcer = self.announcer.as_mut()?;
        let mut announcement = announcer.act(now)?;
        // The broker may have kept `online` from before a crash.
        let absent = announcer.unheard().map(|serial| self.topics.availability(serial));
        let offline = absent.map(|topic| Message::lasting(topic, OFFLINE));
        announcement.messages.extend(offline);
        Some(announcement)
    }

    /// Does without what others have announced: something among it is too large to be heard.
    pub(super) fn hear_no_others(&mut self) {
        if let Some(announcer) = &mut self.announcer {
            announcer.hear_no_others();
        }
    }

    /// The newest value of every topic.
    pub(super) fn current(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.devices.values().for_each(|known| known.device.current(&mut messages));
        messages
    }

    /// Whether no device was heard so far.
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The last values, and that nothing follows them.
    pub(super) fn last_messages(&mut self, now: Instant) -> Vec<Message> {
        let announcer = self.announcer.as_mut();
        let mut messages = announcer.map(|it| it.finish(now)).unwrap_or_default();
        for (serial, known) in &mut self.devices {
            known.device.finish(&mut messages);
            if known.available {
                known.available = false;
                messages.push(Message::lasting(self.topics.availability(*serial), OFFLINE));
            }
        }
        messages.push(self.offline());
        messages
    }

    /// Takes a message of one of the [`subscriptions`](Self::subscriptions), and returns the answer
    /// to it.
    pub(super) fn hear(
        &mut self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        now: Instant,
    ) -> Option<Message> {
        if topic == self.topics.bridge_state() {
            // The broker has found out about a connection that broke long ago, and speaks the last
            // will of it; or another gateway with our topics has stopped.
            let contradicted = !retained && payload != ONLINE.as_bytes();
            return contradicted.then(|| self.online());
        }
        self.announcer.as_mut()?.hear(topic, payload, retained, now);
        None
    }
}

fn is_past(known: &TrackedDevice, time: Timestamp, timeout: Duration) -> bool {
    let silent = known.device.time().map(|heard| time.duration_since(heard));
    silent.is_some_and(|silent| silent.try_into().is_ok_and(|silent: Duration| silent >= timeout))
}
