//! Facts about a device, and the messages that announce it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use energi_decoders::{Layout, Product, Reading, Trust};
use serde::Serialize;
use tracing::warn;

use super::entity::{AvailabilityTopic, Entity, EntityConfig, Validity};
use super::payload::{
    ComponentPayload, DeviceInfo, DevicePayload, DiscoveryHead, DiscoveryOrigin, EntityEntry,
    MIGRATE,
};
use super::recall::{DiscoveryTopics, Recalled};
use crate::mqtt::config::{DiscoveryStyle, MqttConfig};
use crate::mqtt::message::{Message, QoS};
use crate::mqtt::topics::Topics;
use crate::mqtt::{energy, problems};
use crate::sink::Context;

/// Knowledge about one device.
#[derive(Debug, Default)]
pub(super) struct AnnouncedDevice {
    /// Packets that were received or announced, by their place in the builder's list.
    packets: BTreeSet<usize>,
    /// Entities that are announced: the packet's place, and that among its entities.
    entities: BTreeSet<(usize, usize)>,
    product: Product,
    /// The device that relays this one.
    relay: Option<u32>,
    /// Entities that were announced before and are not any more: ids and platforms.
    removed: BTreeMap<String, String>,
    /// Topics with announcements in the other style.
    other_style: BTreeSet<String>,
    /// Records whether the device has been received, rather than only read back from the broker.
    received: bool,
    announced: bool,
}

impl AnnouncedDevice {
    /// Returns whether the device has been received since the gateway started.
    pub(super) const fn is_received(&self) -> bool {
        self.received
    }

    /// Returns whether the device has no entity.
    pub(super) fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Returns whether the device has been announced since the gateway started.
    pub(super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// The device that relays this one.
    pub(super) const fn relay(&self) -> Option<u32> {
        self.relay
    }

    /// Takes in what a device is. Returns whether that is new.
    fn identify(&mut self, product: Product, relay: Option<u32>) -> bool {
        let before = (self.product, self.relay);
        if product != Product::Unknown {
            self.product = product;
        }
        self.relay = relay.or(self.relay);
        before != (self.product, self.relay)
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
    source: EntitySource,
    entities: Vec<Entity>,
}

/// Source of entities.
#[derive(Debug)]
enum EntitySource {
    /// A decoder's table.
    Decoder(Layout),
    /// The sink, for each device that sends confirmed packets.
    Received,
    /// The sink, for each eddi.
    Eddi,
}

impl Packet {
    fn is_of(&self, layout: &Layout) -> bool {
        matches!(&self.source, EntitySource::Decoder(own)
            if (own.length, own.status, &own.name, own.rules)
                == (layout.length, layout.status, &layout.name, layout.rules))
    }

    /// Returns whether each record has another part of the fields.
    fn is_partial(&self) -> bool {
        matches!(&self.source, EntitySource::Decoder(layout) if layout.entries.is_some())
    }

    /// Returns whether a device that sends a confirmed packet has these entities too.
    fn comes_with(&self, product: Product) -> bool {
        match &self.source {
            EntitySource::Decoder(own) => own.status == Trust::Confirmed && own.product == product,
            EntitySource::Received => true,
            EntitySource::Eddi => product == Product::Eddi,
        }
    }
}

/// Parts that all announcements have in common.
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
                source: EntitySource::Decoder(layout.clone()),
            })
            .collect();
        let energy = energy::KEYS.into_iter().zip(energy::LABELS);
        let mut received: Vec<_> =
            energy.map(|(key, label)| Entity::of_energy(key, label)).collect();
        let mut eddi = vec![Entity::of_status()];
        if config.problems.is_some() {
            received.push(Entity::of_problem(problems::SILENT, "Not received", Validity::Gateway));
            let label = "Exporting instead of diverting";
            eddi.push(Entity::of_problem(problems::NOT_DIVERTING, label, Validity::Device));
        }
        packets.push(Packet { source: EntitySource::Received, entities: received });
        packets.push(Packet { source: EntitySource::Eddi, entities: eddi });
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

    /// Takes in what a reading shows of a device. Returns whether that is new to Home Assistant.
    pub(super) fn observe(&self, device: &mut AnnouncedDevice, reading: &Reading) -> bool {
        let layout = reading.layout();
        let Some(place) = self.packets.iter().position(|packet| packet.is_of(layout)) else {
            return false;
        };
        let mut new = !std::mem::replace(&mut device.received, true);
        new |= device.identify(reading.product, reading.relay());
        if self.packets[place].is_partial() {
            for (index, (_, value)) in reading.slots().enumerate() {
                new |= value.is_some() && device.entities.insert((place, index));
            }
        }
        if device.packets.insert(place) {
            new |= self.add(device, place);
            if layout.status == Trust::Confirmed {
                // Who sends one of them sends all, each at its time.
                for (other, packet) in self.packets.iter().enumerate() {
                    new |= packet.comes_with(layout.product) && self.add(device, other);
                }
            }
        }
        new
    }

    /// Adds the entities of a packet; those of a partial one come with their values.
    fn add(&self, device: &mut AnnouncedDevice, place: usize) -> bool {
        let packet = &self.packets[place];
        let known = device.entities.len();
        if !packet.is_partial() {
            device.entities.extend((0..packet.entities.len()).map(|index| (place, index)));
        }
        device.entities.len() > known
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
        let mut new = device.identify(recalled.product, recalled.relay);
        let mut taken_up = BTreeSet::new();
        for (place, packet) in self.packets.iter().enumerate() {
            for (index, entity) in packet.entities.iter().enumerate() {
                let Some(platform) = platforms.get(&entity.id) else { continue };
                // What has become something else is removed first, and then announced.
                if platform == entity.platform() {
                    taken_up.insert(entity.id.clone());
                }
                new |= self.add(device, place) || device.entities.insert((place, index));
            }
        }
        platforms.retain(|id, _| !taken_up.contains(id));
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
    ///
    /// `relay` is the device that relays this one, if it is announced.
    pub(super) fn messages(
        &self,
        serial: u32,
        device: &AnnouncedDevice,
        relay: Option<u32>,
    ) -> Vec<Message> {
        let migrations = device
            .other_style
            .iter()
            .map(|topic| Message { retain: false, ..Message::lasting(topic.clone(), MIGRATE) });
        let mut messages: Vec<_> = migrations.collect();
        let availability =
            [self.bridge[0].clone(), AvailabilityTopic { topic: self.topics.availability(serial) }];
        let name = self.names.get(&serial).map(String::as_str);
        let info = DeviceInfo::new(serial, device.product, name, self.site.as_deref(), relay);
        let head = DiscoveryHead {
            dev: &info,
            o: DiscoveryOrigin::THIS,
            availability: Some(&availability),
            availability_mode: "all",
            qos: self.qos,
        };
        match self.discovery.style {
            DiscoveryStyle::Device => messages.push(self.device_message(serial, device, head)),
            DiscoveryStyle::Components => self.add_components(serial, device, head, &mut messages),
        }
        let others = device.other_style.iter();
        messages.extend(others.map(|topic| Message::lasting(topic.clone(), "")));
        messages
    }

    fn device_message(
        &self,
        serial: u32,
        device: &AnnouncedDevice,
        head: DiscoveryHead<'_>,
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
        head: DiscoveryHead<'_>,
        messages: &mut Vec<Message>,
    ) {
        messages.extend(device.removed.iter().map(|(id, platform)| {
            Message::lasting(self.discovery.component(serial, platform, id), "")
        }));
        messages.extend(self.entities(device).map(|entity| {
            // Other entities have their own.
            let availability = head.availability.filter(|_| entity.validity == Validity::Device);
            let payload = ComponentPayload {
                head: DiscoveryHead { availability, ..head },
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
        let entities = device.entities.iter();
        let entities = entities.filter_map(|(place, index)| {
            self.packets.get(*place).and_then(|packet| packet.entities.get(*index))
        });
        entities.filter(move |it| present.insert(it.id.as_str()))
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
