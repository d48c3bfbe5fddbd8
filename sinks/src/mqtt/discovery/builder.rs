//! What is known of a device, and the messages that announce it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use energi_decoders::{Layout, Trust};
use serde::Serialize;
use tracing::warn;

use super::entity::{Entity, EntityConfig, Validity};
use super::payload::{
    AvailabilityTopic, ComponentPayload, DeviceInfo, DevicePayload, DiscoveryHead, DiscoveryOrigin,
    EntityEntry, MIGRATE,
};
use super::recall::{DiscoveryTopics, Recalled};
use crate::mqtt::config::{DiscoveryStyle, MqttConfig};
use crate::mqtt::message::{Message, QoS};
use crate::mqtt::topics::Topics;
use crate::mqtt::{energy, problems};
use crate::sink::Context;

/// What is known of one device.
#[derive(Debug, Default)]
pub(super) struct AnnouncedDevice {
    /// Packets whose metrics are announced, by their place in the builder's list.
    packets: BTreeSet<usize>,
    /// Entities that were announced before and are not any more: ids and platforms.
    removed: BTreeMap<String, String>,
    /// Topics with announcements in the other style.
    other_style: BTreeSet<String>,
    /// Whether the device has been received, rather than only read back from the broker.
    received: bool,
    announced: bool,
}

impl AnnouncedDevice {
    /// Whether the device has been received since the gateway started.
    pub(super) const fn is_received(&self) -> bool {
        self.received
    }

    /// Whether the device has been announced since the gateway started.
    pub(super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Notes that the device has been announced. Returns whether something was removed by it.
    pub(super) fn announced(&mut self) -> bool {
        self.announced = true;
        self.other_style.clear();
        !std::mem::take(&mut self.removed).is_empty()
    }
}

/// The entities of one packet.
#[derive(Debug)]
struct Packet {
    /// `None` for the values that the sink works out itself.
    layout: Option<Layout>,
    entities: Vec<Entity>,
}

impl Packet {
    /// Whether the entities are announced as soon as any confirmed packet is received.
    fn is_confirmed(&self) -> bool {
        self.layout.as_ref().is_none_or(|layout| layout.status == Trust::Confirmed)
    }
}

/// What all announcements have in common.
#[derive(Debug)]
pub(super) struct DiscoveryBuilder {
    discovery: DiscoveryTopics,
    topics: Topics,
    site: Option<String>,
    names: Arc<BTreeMap<u32, String>>,
    packets: Vec<Packet>,
    bridge: [AvailabilityTopic; 1],
    expire_after: Option<u64>,
    qos: QoS,
}

impl DiscoveryBuilder {
    pub(super) fn new(
        discovery: &DiscoveryTopics,
        config: &MqttConfig,
        topics: &Topics,
        context: &Context,
    ) -> Self {
        let mut packets: Vec<Packet> = context
            .layouts
            .iter()
            .map(|layout| Packet {
                entities: layout.fields.iter().map(|field| Entity::of(field, layout)).collect(),
                layout: Some(layout.clone()),
            })
            .collect();
        let mut own = vec![Entity::of_status()];
        own.extend(
            energy::KEYS.into_iter().zip(energy::LABELS).map(|(k, l)| Entity::of_energy(k, l)),
        );
        if config.problems.is_some() {
            own.push(Entity::of_problem(problems::SILENT, "Not received", Validity::Gateway));
            let label = "Exporting instead of diverting";
            own.push(Entity::of_problem(problems::NOT_DIVERTING, label, Validity::Device));
        }
        packets.push(Packet { layout: None, entities: own });
        warn_of_twins(&context.name, packets.iter().flat_map(|packet| &packet.entities));
        Self {
            discovery: discovery.clone(),
            topics: topics.clone(),
            site: context.site.clone(),
            names: Arc::clone(&context.device_names),
            packets,
            bridge: [AvailabilityTopic { topic: topics.bridge_state() }],
            expire_after: expire_after(config),
            qos: config.qos,
        }
    }

    /// Devices that the configuration names.
    pub(super) fn listed(&self) -> impl Iterator<Item = &u32> {
        self.names.keys()
    }

    /// Returns the place of a packet in the list.
    pub(super) fn position(&self, layout: &Layout) -> Option<usize> {
        let same = |other: &Layout| {
            (other.length, other.status, &other.name, other.rules)
                == (layout.length, layout.status, &layout.name, layout.rules)
        };
        self.packets.iter().position(|packet| packet.layout.as_ref().is_some_and(same))
    }

    /// Notes that a device has sent a packet. Returns whether that is new to Home Assistant.
    pub(super) fn observe(&self, device: &mut AnnouncedDevice, packet: usize) -> bool {
        let first = !std::mem::replace(&mut device.received, true);
        let mut new = device.packets.insert(packet);
        if self.packets.get(packet).is_some_and(Packet::is_confirmed) {
            // Who sends one of them sends all, each at its time.
            let confirmed = self.packets.iter().enumerate().filter(|(_, it)| it.is_confirmed());
            for (place, _) in confirmed {
                new |= device.packets.insert(place);
            }
        }
        new || first
    }

    /// Adds the packets whose entities were announced before, under `topic`; what no packet has any
    /// more, or has as something else, is removed. Returns whether that is new to Home Assistant.
    pub(super) fn recall(
        &self,
        device: &mut AnnouncedDevice,
        recalled: Recalled,
        topic: &str,
    ) -> bool {
        let mut platforms = recalled.platforms;
        let mut new = false;
        for (place, packet) in self.packets.iter().enumerate() {
            let mut sent = false;
            for entity in &packet.entities {
                sent |= platforms.contains_key(&entity.id);
                if platforms.get(&entity.id).is_some_and(|platform| platform == entity.platform()) {
                    platforms.remove(&entity.id);
                }
            }
            if sent {
                new |= device.packets.insert(place);
            }
        }
        if recalled.style != self.discovery.style {
            return device.other_style.insert(topic.to_owned()) || new;
        }
        new |= !platforms.is_empty();
        device.removed.extend(platforms);
        new
    }

    /// Topics under which the device is announced.
    pub(super) fn topics(
        &self,
        serial: u32,
        device: &AnnouncedDevice,
    ) -> impl Iterator<Item = String> {
        let topics: Vec<_> = match self.discovery.style {
            DiscoveryStyle::Device => vec![self.discovery.device(serial)],
            DiscoveryStyle::Components => {
                let entities = self.entities(device);
                entities.map(|it| self.discovery.component(serial, it.platform(), &it.id)).collect()
            }
        };
        topics.into_iter()
    }

    /// Messages that announce a device, and take back what was announced of it before.
    pub(super) fn messages(&self, serial: u32, device: &AnnouncedDevice) -> Vec<Message> {
        let migrations = device
            .other_style
            .iter()
            .map(|topic| Message { retain: false, ..Message::lasting(topic.clone(), MIGRATE) });
        let mut messages: Vec<_> = migrations.collect();
        let availability =
            [self.bridge[0].clone(), AvailabilityTopic { topic: self.topics.availability(serial) }];
        let name = self.names.get(&serial).map(String::as_str);
        let head = DiscoveryHead {
            dev: DeviceInfo::new(serial, name, self.site.as_deref()),
            o: DiscoveryOrigin::THIS,
            availability: &availability,
            availability_mode: "all",
            qos: self.qos,
        };
        match self.discovery.style {
            DiscoveryStyle::Device => messages.push(self.device_message(serial, device, &head)),
            DiscoveryStyle::Components => self.add_components(serial, device, &head, &mut messages),
        }
        let others = device.other_style.iter();
        messages.extend(others.map(|topic| Message::lasting(topic.clone(), "")));
        messages
    }

    fn device_message(
        &self,
        serial: u32,
        device: &AnnouncedDevice,
        head: &DiscoveryHead<'_>,
    ) -> Message {
        // First, since Home Assistant may leave the rest of a message for the next one.
        let removed = device.removed.iter();
        let mut cmps: Vec<_> =
            removed.map(|(id, p)| (id.as_str(), EntityEntry::Removed { p })).collect();
        cmps.extend(self.entities(device).map(|entity| {
            (entity.id.as_str(), EntityEntry::Present(self.config(serial, entity, true)))
        }));
        let topic = self.discovery.device(serial);
        Message::lasting(topic, json(&DevicePayload { head, cmps }))
    }

    fn add_components(
        &self,
        serial: u32,
        device: &AnnouncedDevice,
        head: &DiscoveryHead<'_>,
        messages: &mut Vec<Message>,
    ) {
        messages.extend(device.removed.iter().map(|(id, platform)| {
            Message::lasting(self.discovery.component(serial, platform, id), "")
        }));
        messages.extend(self.entities(device).map(|entity| {
            let payload = ComponentPayload {
                dev: &head.dev,
                o: &head.o,
                availability: (entity.validity == Validity::Device).then_some(head.availability),
                availability_mode: head.availability_mode,
                qos: head.qos,
                entity: self.config(serial, entity, false),
            };
            let topic = self.discovery.component(serial, entity.platform(), &entity.id);
            Message::lasting(topic, json(&payload))
        }));
    }

    fn config<'a>(&'a self, serial: u32, entity: &'a Entity, listed: bool) -> EntityConfig<'a> {
        let topic = self.topics.value(serial, &entity.key);
        entity.config(serial, topic, listed, &self.bridge, self.expire_after)
    }

    /// Entities of a device. A metric of several packets is one of them.
    fn entities<'a>(&'a self, device: &'a AnnouncedDevice) -> impl Iterator<Item = &'a Entity> {
        // What becomes something else is in the next message.
        let mut present: BTreeSet<_> = device.removed.keys().map(String::as_str).collect();
        let packets = device.packets.iter().filter_map(|place| self.packets.get(*place));
        packets.flat_map(|packet| &packet.entities).filter(move |it| present.insert(it.id.as_str()))
    }
}

/// JSON of a message; none of its maps has a key that is no text, which alone could fail.
fn json(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).unwrap_or_default()
}

/// Seconds after which a value is no longer true. Whatever holds values back, each is repeated in a
/// third of that.
fn expire_after(config: &MqttConfig) -> Option<u64> {
    let longest = config.heartbeat.max(config.interval).duration() * 3;
    // Home Assistant takes whole seconds.
    let seconds = longest.as_secs() + u64::from(longest.subsec_nanos() > 0);
    (seconds > 0).then_some(seconds)
}

/// Warns of keys that differ only by their case: one entity cannot stand for two of them.
fn warn_of_twins<'a>(sink: &str, entities: impl Iterator<Item = &'a Entity>) {
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    for Entity { id, key, .. } in entities {
        let first = keys.entry(id).or_insert(key);
        if first != key {
            warn!(sink, "Home Assistant has one entity for `{first}` and `{key}`; rename one");
        }
    }
}
