//! Home Assistant's MQTT discovery: what is announced, when, and what is taken back.
//!
//! Retained messages describe the entities of each device, one message a device or one an entity.
//! They are written from the decoders' field tables, so that a new field needs nothing here. A
//! device is announced once it is received; the metrics of an unconfirmed packet join once the
//! device has sent that packet, so that no entity waits for a value that never comes. Earlier
//! announcements are read back from the broker: they are kept, or taken back where the decoder is
//! now off or the device is no longer let in.
//!
//! [`Announcer`] has neither a clock nor a connection: it is told what happens, and returns the
//! messages that are due.
//!
//! Source: <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>.

mod builder;
mod entity;
mod payload;
mod recall;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use tokio::time::Instant;

use builder::{AnnouncedDevice, DiscoveryBuilder};
pub(super) use recall::{DiscoveryTopics, Recalled};
use schedule::{Due, Schedule};

use super::config::{DiscoveryStyle, MqttConfig};
use super::message::Message;
use super::topics::{ONLINE, Topics};
use crate::runner::Backoff;
use crate::sink::Context;

/// Topic on which Home Assistant says that it has started, unless that was changed there. It does
/// not follow the discovery prefix.
const BIRTH_TOPIC: &str = "homeassistant/status";

/// Time for which Home Assistant's start is left to others at least; up to as long again by chance,
/// since they answer too.
const BIRTH_WAIT: Duration = Duration::from_secs(1);

/// Time that a broker has to hand over what was announced of a device. To announce earlier would
/// overwrite the only record of what has to be taken back.
const RECALL_WAIT: Duration = Duration::from_millis(500);

/// Devices that are looked for on the broker, at most.
const MOST_RECALLED: usize = 1_000;

/// The announcements of all devices.
#[derive(Debug)]
pub(super) struct Announcer {
    discovery: DiscoveryTopics,
    topics: Topics,
    only: Option<Arc<BTreeSet<u32>>>,
    builder: DiscoveryBuilder,
    devices: BTreeMap<u32, AnnouncedDevice>,
    /// Devices whose earlier announcements are asked for, and when those must have come.
    looked_for: BTreeMap<u32, Instant>,
    /// Filters to subscribe to.
    subscriptions: Vec<String>,
    /// Topics to be emptied.
    dismissed: BTreeSet<String>,
    schedule: Schedule,
    /// Records whether earlier announcements are asked for.
    looks: bool,
}

/// Work that has come due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// Messages to publish, in their order.
    pub(super) messages: Vec<Message>,
    /// Records whether the current values have to follow: Home Assistant may only listen to them
    /// since now.
    pub(super) values: bool,
    /// Records whether Home Assistant has asked, and may have missed everything before.
    pub(super) asked: bool,
}

impl Announcer {
    /// An announcer that knows no device yet. `None` where the configuration has discovery off.
    pub(super) fn new(config: &MqttConfig, topics: &Topics, context: &Context) -> Option<Self> {
        let discovery = DiscoveryTopics::new(config.discovery.as_ref()?);
        Some(Self {
            builder: DiscoveryBuilder::new(&discovery, config, topics, context),
            discovery,
            topics: topics.clone(),
            only: context.only_devices.clone(),
            devices: BTreeMap::new(),
            looked_for: BTreeMap::new(),
            subscriptions: Vec::new(),
            dismissed: BTreeSet::new(),
            schedule: Schedule::new(context.backpressure),
            looks: true,
        })
    }

    /// Takes the filters to subscribe to.
    pub(super) fn take_subscriptions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.subscriptions)
    }

    /// Ignores earlier announcements: something among them is too large to be read.
    pub(super) fn look_no_further(&mut self) {
        self.looks = false;
    }

    /// Begins a connection, on which everything is announced again. `devices` are those that may
    /// have been announced before, beside those known here.
    pub(super) fn connected(&mut self, devices: impl Iterator<Item = u32>, now: Instant) {
        let listed = self.builder.listed().chain(self.only.iter().flat_map(|only| only.iter()));
        let known = self.devices.keys().chain(listed).copied().chain(devices);
        let known: BTreeSet<u32> = known.collect();
        self.looked_for.clear();
        self.subscriptions = vec![BIRTH_TOPIC.to_owned()];
        if self.discovery.status() != BIRTH_TOPIC {
            self.subscriptions.push(self.discovery.status());
        }
        for serial in known {
            self.look_for(serial, now);
        }
        let ready = self.devices.keys().filter_map(|serial| self.looked_for.get(serial)).max();
        self.schedule.at_once(ready.copied().unwrap_or(now));
    }

    /// Asks for the earlier announcements of a device.
    pub(super) fn look_for(&mut self, serial: u32, now: Instant) {
        if !self.looks || self.looked_for.len() >= MOST_RECALLED {
            return;
        }
        let announced = self.devices.get(&serial).is_some_and(AnnouncedDevice::is_announced);
        self.looked_for.entry(serial).or_insert_with(|| {
            self.subscriptions.extend(self.discovery.of_device(serial));
            if announced { now } else { now + RECALL_WAIT }
        });
    }

    /// Takes in what a reading shows: a device, and a packet that it sends.
    pub(super) fn observe(&mut self, reading: &Reading, now: Instant) {
        self.look_for(reading.serial, now);
        let device = self.devices.entry(reading.serial).or_default();
        if self.builder.observe(device, reading) {
            self.schedule.soon(now);
        }
    }

    /// Takes in a message of one of the subscriptions. Returns whether it has emptied the
    /// announcement of a device that is received.
    pub(super) fn hear(
        &mut self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        now: Instant,
    ) -> bool {
        if topic == BIRTH_TOPIC || topic == self.discovery.status() {
            if payload == ONLINE.as_bytes() {
                self.schedule.asked(BIRTH_WAIT + Backoff::jitter(BIRTH_WAIT), now);
            }
            return false;
        }
        if !retained {
            // Only nothing is repaired: another gateway with other options announces otherwise, and
            // the two must not take turns.
            return payload.is_empty()
                && self.devices.iter().any(|(serial, device)| {
                    device.is_announced()
                        && device.is_received()
                        && self.builder.topics(*serial, device).any(|own| own == topic)
                });
        }
        if let Some(recalled) = self.discovery.read(&self.topics, topic, payload) {
            self.recall(recalled, topic, now);
        }
        false
    }

    /// Takes up an earlier announcement where it is still right, and takes back what is not.
    fn recall(&mut self, recalled: Recalled, topic: &str, now: Instant) {
        let (serial, style) = (recalled.serial, recalled.style);
        let let_in = self.only.as_ref().is_none_or(|only| only.contains(&serial));
        let mut news = false;
        let mut dismissed = !let_in;
        if let_in {
            let device = self.devices.entry(serial).or_default();
            news = self.builder.recall(device, recalled, topic);
            // No decoder is left that knows the device. An announcement without entities could not
            // be told from another gateway's after the next start.
            dismissed =
                style == DiscoveryStyle::Device && !device.is_received() && device.is_empty();
        }
        if dismissed {
            self.devices.remove(&serial);
            self.dismissed.insert(self.topics.availability(serial));
            news = self.dismissed.insert(topic.to_owned());
        }
        if news {
            self.schedule.soon(now);
        }
    }

    /// The devices that were announced before and have not been received since this gateway
    /// started.
    pub(super) fn unheard(&self) -> impl Iterator<Item = u32> {
        self.devices.iter().filter(|(_, device)| !device.is_received()).map(|(serial, _)| *serial)
    }

    /// Returns when [`Announcer::act`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// Announces everything again: something of it is gone.
    pub(super) fn repeat(&mut self, now: Instant) {
        self.schedule.soon(now);
    }

    /// Returns what has come due by `now`, if anything.
    pub(super) fn act(&mut self, now: Instant) -> Option<Announcement> {
        let Due { announce, values, asked } = self.schedule.take(now)?;
        let messages = if announce { self.announce(now) } else { Vec::new() };
        Some(Announcement { messages, values, asked })
    }

    /// Returns what is still to be announced when the connection ends.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.schedule.cut_short() {
            // There is no later.
            messages.extend(self.announce(now + RECALL_WAIT));
        }
        messages
    }

    fn announce(&mut self, now: Instant) -> Vec<Message> {
        let mut dismissed = std::mem::take(&mut self.dismissed);
        // The device may have been received since.
        dismissed.retain(|topic| {
            let serial = self.topics.serial_of_availability(topic);
            serial.is_none_or(|serial| !self.devices.contains_key(&serial))
        });
        let dismissed = dismissed.into_iter();
        let mut messages: Vec<_> = dismissed.map(|topic| Message::lasting(topic, "")).collect();
        let is_ready = |serial: &u32| self.looked_for.get(serial).is_none_or(|ready| *ready <= now);
        let ready: BTreeSet<u32> = self.devices.keys().copied().filter(is_ready).collect();
        let waiting = self.devices.keys().filter_map(|serial| self.looked_for.get(serial));
        if let Some(next) = waiting.filter(|ready| **ready > now).min() {
            self.schedule.at(*next);
        }
        // A device comes after the one that relays it.
        let mut devices: Vec<_> = self.devices.iter_mut().collect();
        devices.retain(|(serial, _)| ready.contains(serial));
        devices.sort_by_key(|(_, device)| device.relay().is_some());
        for (serial, device) in devices {
            let relay = device.relay().filter(|relay| ready.contains(relay));
            messages.extend(self.builder.messages(*serial, device, relay));
            // The removal is announced; the next message does without the removed ones.
            if device.announced() {
                self.schedule.soon(now);
            }
        }
        messages
    }
}
