//! What is known of a device, and the message that tells it to Home Assistant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use energi_decoders::{Layout, Trust};
use tracing::warn;

use super::entity::{Entity, Until};
use super::payload::{Availability, DeviceInfo, DiscoveryOrigin, DiscoveryPayload, EntityEntry};
use super::recall::config_topic;
use crate::mqtt::config::MqttConfig;
use crate::mqtt::message::{Message, QoS};
use crate::mqtt::topics::Topics;
use crate::sink::Context;

/// What is known of one device.
#[derive(Debug, Default)]
pub(super) struct AnnouncedDevice {
    /// The packets whose metrics are announced, by their place in the builder's list.
    packets: BTreeSet<usize>,
    /// Entities that were announced before and are not any more: ids and platforms.
    removed: BTreeMap<String, String>,
    /// Whether it has been heard, rather than only read back from the broker.
    heard: bool,
}

impl AnnouncedDevice {
    /// Notes that the device has sent a packet; whether that is news to Home Assistant.
    pub(super) fn hear(&mut self, packet: usize) -> bool {
        let first = !std::mem::replace(&mut self.heard, true);
        self.packets.insert(packet) || first
    }

    /// Whether the device has been heard since the gateway started.
    pub(super) const fn is_heard(&self) -> bool {
        self.heard
    }

    /// Forgets the entities that are gone; whether there were any.
    pub(super) fn forget_removed(&mut self) -> bool {
        !std::mem::take(&mut self.removed).is_empty()
    }
}

/// The entities of one packet that may come.
#[derive(Debug)]
struct Packet {
    layout: Layout,
    entities: Vec<Entity>,
}

/// Everything that announcements have in common.
#[derive(Debug)]
pub(super) struct DiscoveryBuilder {
    prefix: String,
    topics: Topics,
    site: Option<String>,
    names: Arc<BTreeMap<u32, String>>,
    packets: Vec<Packet>,
    status: Entity,
    bridge: [Availability; 1],
    expire_after: Option<u64>,
    qos: QoS,
}

impl DiscoveryBuilder {
    pub(super) fn new(
        prefix: &str,
        config: &MqttConfig,
        topics: &Topics,
        context: &Context,
    ) -> Self {
        let packets: Vec<Packet> = context
            .layouts
            .iter()
            .map(|layout| Packet {
                entities: layout.fields.iter().map(|field| Entity::of(field, layout)).collect(),
                layout: layout.clone(),
            })
            .collect();
        warn_of_twins(&context.name, packets.iter().flat_map(|packet| &packet.entities));
        Self {
            prefix: prefix.to_owned(),
            topics: topics.clone(),
            site: context.site.clone(),
            names: Arc::clone(&context.device_names),
            packets,
            status: Entity::of_status(),
            bridge: [Availability { topic: topics.bridge_state() }],
            expire_after: expire_after(config),
            qos: config.qos,
        }
    }

    /// The place of a packet in the list.
    pub(super) fn position(&self, layout: &Layout) -> Option<usize> {
        let same = |other: &Layout| {
            (other.length, other.status, other.record_type)
                == (layout.length, layout.status, layout.record_type)
        };
        self.packets.iter().position(|packet| same(&packet.layout))
    }

    /// What is announced of a device as soon as it is heard.
    pub(super) fn first_sight(&self) -> AnnouncedDevice {
        let confirmed = |packet: &Packet| packet.layout.status == Trust::Confirmed;
        let packets = self.packets.iter().enumerate();
        let packets = packets.filter(|(_, packet)| confirmed(packet)).map(|(place, _)| place);
        AnnouncedDevice { packets: packets.collect(), ..AnnouncedDevice::default() }
    }

    /// Adds the packets whose entities were announced before; what no packet has any more, or has
    /// as something else, is removed. Whether that is news to Home Assistant.
    pub(super) fn recall(
        &self,
        known: &mut AnnouncedDevice,
        mut platforms: BTreeMap<String, String>,
    ) -> bool {
        let mut news = false;
        platforms.remove(&self.status.id);
        for (place, packet) in self.packets.iter().enumerate() {
            let mut sent = false;
            for entity in &packet.entities {
                sent |= platforms.contains_key(&entity.id);
                if platforms.get(&entity.id).is_some_and(|platform| platform == entity.platform()) {
                    platforms.remove(&entity.id);
                }
            }
            if sent {
                news |= known.packets.insert(place);
            }
        }
        known.removed = platforms;
        news || !known.removed.is_empty()
    }

    /// The announcement of a device.
    pub(super) fn message(&self, serial: u32, known: &AnnouncedDevice) -> Message {
        let device = Availability { topic: self.topics.availability(serial) };
        let [bridge] = &self.bridge;
        let payload = DiscoveryPayload {
            dev: DeviceInfo::new(serial, self.names.get(&serial).map(String::as_str), self.site()),
            o: DiscoveryOrigin::THIS,
            availability: &[bridge.clone(), device],
            availability_mode: "all",
            qos: self.qos,
            cmps: self.entries(serial, known),
        };
        let text = serde_json::to_string(&payload).unwrap_or_default();
        Message::lasting(config_topic(&self.prefix, serial), text)
    }

    fn entries<'a>(
        &'a self,
        serial: u32,
        known: &'a AnnouncedDevice,
    ) -> Vec<(&'a str, EntityEntry<'a>)> {
        // First, since Home Assistant may leave the rest of a message for the next one.
        let mut entries: Vec<_> =
            known.removed.iter().map(|(id, p)| (id.as_str(), EntityEntry::Removed { p })).collect();
        // What becomes something else is in the next message.
        let mut present: BTreeSet<_> = known.removed.keys().map(String::as_str).collect();
        let packets = known.packets.iter().filter_map(|place| self.packets.get(*place));
        let entities = packets.flat_map(|packet| &packet.entities).chain([&self.status]);
        // A metric of several packets is one entity.
        for entity in entities.filter(|entity| present.insert(entity.id.as_str())) {
            let until = if entity.is_lasting() {
                Until::Offline { availability: &self.bridge }
            } else {
                Until::Expired { expire_after: self.expire_after }
            };
            let topic = self.topics.value(serial, &entity.key);
            let component = entity.component(serial, topic, until);
            entries.push((&entity.id, EntityEntry::Present(Box::new(component))));
        }
        entries
    }

    fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }
}

/// The seconds after which a value is no longer true. Whatever holds values back, each is said again
/// in a third of that.
fn expire_after(config: &MqttConfig) -> Option<u64> {
    let longest = config.heartbeat.max(config.interval).duration() * 3;
    // Home Assistant takes whole seconds.
    let seconds = longest.as_secs() + u64::from(longest.subsec_nanos() > 0);
    (seconds > 0).then_some(seconds)
}

/// Says which keys differ only by their case: one entity cannot stand for two of them.
fn warn_of_twins<'a>(sink: &str, entities: impl Iterator<Item = &'a Entity>) {
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for Entity { id, key, .. } in entities {
        let first = keys.entry(id).or_insert(key);
        if first != key {
            warn!(sink, "Home Assistant has one entity for `{first}` and `{key}`; rename one");
        }
    }
}
