//! Home Assistant's device discovery: what is announced, when, and what is taken back.
//!
//! One retained message a device tells Home Assistant all its entities. It is written from the
//! decoders' field tables, so a new field needs nothing here. A device is announced once it is
//! heard, with the metrics of the confirmed packets; those of another packet join once the device
//! has sent it, so that no entity waits for a value that never comes. What was announced before is
//! read back from the broker at each connect: it is kept, or taken back where its decoder is now
//! off or the device is no longer let in.
//!
//! [`Announcer`] has neither a clock nor a connection of its own: it is told what happens, and says
//! which messages are due.
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
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use tokio::time::Instant;

use builder::{AnnouncedDevice, DiscoveryBuilder};
use recall::config_topic;
pub(super) use recall::{Recalled, every_config};
use schedule::{Due, Schedule};

use super::config::MqttConfig;
use super::message::Message;
use super::topics::{ONLINE, Topics};
use crate::sink::Context;

/// Where Home Assistant says that it has started, unless that was changed there. It does not follow
/// the discovery prefix.
const BIRTH_TOPIC: &str = "homeassistant/status";

/// How long Home Assistant's start is left to others at least; up to as long again by chance, since
/// they answer it too.
const BIRTH_WAIT: Duration = Duration::from_secs(1);

/// How long a broker has to hand over what it has kept. To announce earlier would overwrite the only
/// record of what has to be taken back.
const RECALL_WAIT: Duration = Duration::from_millis(500);

/// Announcements that are taken back in from the broker, at most.
const MOST_RECALLED: usize = 1_000;

/// The announcements of all devices.
#[derive(Debug)]
pub(super) struct Announcer {
    prefix: String,
    topics: Topics,
    only: Option<Arc<BTreeSet<u32>>>,
    builder: DiscoveryBuilder,
    devices: BTreeMap<u32, AnnouncedDevice>,
    /// Devices whose announcements are to be taken back.
    dismissed: BTreeSet<u32>,
    schedule: Schedule,
    /// Whether what the broker has kept is asked for.
    hears_others: bool,
    /// Whether this process has announced before: it knows by then what the broker had kept.
    announced: bool,
}

/// What has come due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// To be published in their order.
    pub(super) messages: Vec<Message>,
    /// Whether the current values have to follow: Home Assistant may only listen to them since
    /// now.
    pub(super) values: bool,
}

impl Announcer {
    /// Nothing is announced yet. `None` where the configuration has discovery off.
    pub(super) fn new(config: &MqttConfig, topics: &Topics, context: &Context) -> Option<Self> {
        let prefix = config.discovery.as_ref()?.prefix.clone();
        Some(Self {
            builder: DiscoveryBuilder::new(&prefix, config, topics, context),
            prefix,
            topics: topics.clone(),
            only: context.only_devices.clone(),
            devices: BTreeMap::new(),
            dismissed: BTreeSet::new(),
            schedule: Schedule::new(context.backpressure),
            hears_others: true,
            announced: false,
        })
    }

    /// What to subscribe to before anything is published: what the broker has kept is overwritten
    /// then.
    pub(super) fn subscriptions(&self) -> BTreeSet<String> {
        let mut filters = BTreeSet::from([BIRTH_TOPIC.to_owned(), self.status_topic()]);
        filters.extend(self.hears_others.then(|| every_config(&self.prefix)));
        filters
    }

    /// Does without what the broker has kept: something in it is too large to be heard.
    pub(super) fn hear_no_others(&mut self) {
        self.hears_others = false;
    }

    /// A connection is there: all that is known is announced anew.
    pub(super) fn connected(&mut self, now: Instant) {
        let wait = if self.hears_others && !self.announced { RECALL_WAIT } else { Duration::ZERO };
        self.schedule.at_once(now + wait);
    }

    /// Takes in what a reading shows: a device, and a packet that it sends.
    pub(super) fn observe(&mut self, reading: &Reading, now: Instant) {
        let Some(layout) = self.builder.position(reading.layout()) else { return };
        let known = self.devices.entry(reading.serial);
        let known = known.or_insert_with(|| self.builder.first_sight());
        if known.hear(layout) {
            self.schedule.soon(now);
        }
    }

    /// Takes in a message of one of the [subscriptions](Self::subscriptions).
    pub(super) fn hear(&mut self, topic: &str, payload: &[u8], retained: bool, now: Instant) {
        if topic == BIRTH_TOPIC || topic == self.status_topic() {
            if payload == ONLINE.as_bytes() {
                self.schedule.asked(birth_wait(), now);
            }
        } else if retained
            && let Some(recalled) = Recalled::read(&self.prefix, &self.topics, topic, payload)
        {
            self.recall(recalled, now);
        }
    }

    /// Takes up an announcement of before where it is still right, and takes back what is not.
    fn recall(&mut self, recalled: Recalled, now: Instant) {
        let Recalled { serial, platforms } = recalled;
        let news = if self.only.as_ref().is_some_and(|only| !only.contains(&serial)) {
            self.dismissed.insert(serial)
        } else if let Some(known) = self.devices.get_mut(&serial) {
            self.builder.recall(known, platforms)
        } else if self.devices.len() < MOST_RECALLED {
            let mut known = self.builder.first_sight();
            self.builder.recall(&mut known, platforms);
            self.devices.insert(serial, known);
            true
        } else {
            false
        };
        if news {
            self.schedule.soon(now);
        }
    }

    /// The devices that were announced before and have not been heard since this gateway started.
    pub(super) fn unheard(&self) -> impl Iterator<Item = u32> {
        self.devices.iter().filter(|(_, known)| !known.is_heard()).map(|(serial, _)| *serial)
    }

    /// When [`Announcer::act`] has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// What has come due by `now`, if anything.
    pub(super) fn act(&mut self, now: Instant) -> Option<Announcement> {
        let due = self.schedule.take(now)?;
        let messages = if due == Due::Values { Vec::new() } else { self.announce(now) };
        Some(Announcement { messages, values: due != Due::Announcement })
    }

    /// What is still to be said when the connection ends.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.schedule.cut_short() {
            messages.extend(self.announce(now));
        }
        messages
    }

    fn announce(&mut self, now: Instant) -> Vec<Message> {
        self.announced = true;
        let dismissed = std::mem::take(&mut self.dismissed);
        let mut messages: Vec<_> = dismissed
            .into_iter()
            .flat_map(|serial| {
                [config_topic(&self.prefix, serial), self.topics.availability(serial)]
            })
            .map(|topic| Message::lasting(topic, ""))
            .collect();
        for (serial, known) in &mut self.devices {
            messages.push(self.builder.message(*serial, known));
            // It is said that they are gone; the next message does without them.
            if known.forget_removed() {
                self.schedule.soon(now);
            }
        }
        messages
    }

    fn status_topic(&self) -> String {
        format!("{}/status", self.prefix)
    }
}

fn birth_wait() -> Duration {
    // Keyed anew for each instance by the operating system: randomness enough for this.
    let draw = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or(u32::MAX);
    BIRTH_WAIT + BIRTH_WAIT.mul_f64(f64::from(draw) / f64::from(u32::MAX))
}
