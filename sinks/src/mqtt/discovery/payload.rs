//! Discovery messages.
//!
//! Sources: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>,
//! <https://www.home-assistant.io/integrations/mqtt/#single-component-discovery-payload>.

use energi_decoders::Product;
use serde::{Serialize, Serializer};

use super::entity::{AvailabilityTopic, EntityConfig};
use crate::mqtt::message::QoS;

/// Name of the program in Home Assistant's log, and the mark of its announcements.
pub(super) const ORIGIN: &str = "energi-gateway";

const MANUFACTURER: &str = "myenergi";

/// Message that has Home Assistant keep the settings of an entity whose announcement moves to
/// another topic.
pub(super) const MIGRATE: &str = r#"{"migrate_discovery":true}"#;

/// A device, and what its entities have in common.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct DiscoveryHead<'a> {
    pub(super) dev: &'a DeviceInfo<'a>,
    pub(super) o: DiscoveryOrigin,
    /// Topics that all entities follow unless they have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability: Option<&'a [AvailabilityTopic]>,
    pub(super) availability_mode: &'static str,
    /// Quality of service of Home Assistant's subscriptions.
    pub(super) qos: QoS,
}

/// Announcement of a device with all its entities.
#[derive(Debug, Serialize)]
pub(super) struct DevicePayload<'a> {
    #[serde(flatten)]
    pub(super) head: DiscoveryHead<'a>,
    #[serde(serialize_with = "as_map")]
    pub(super) cmps: Vec<(&'a str, EntityEntry<'a>)>,
}

/// Announcement of one entity.
#[derive(Debug, Serialize)]
pub(super) struct ComponentPayload<'a> {
    #[serde(flatten)]
    pub(super) head: DiscoveryHead<'a>,
    #[serde(flatten)]
    pub(super) entity: EntityConfig<'a>,
}

/// A device as Home Assistant shows it.
#[derive(Debug, Serialize)]
pub(super) struct DeviceInfo<'a> {
    ids: [String; 1],
    name: String,
    mf: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mdl: Option<&'static str>,
    sn: String,
    /// Identifier of the device that relays this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    via_device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_area: Option<&'a str>,
}

impl<'a> DeviceInfo<'a> {
    pub(super) fn new(
        serial: u32,
        product: Product,
        name: Option<&str>,
        site: Option<&'a str>,
        relay: Option<u32>,
    ) -> Self {
        let model = (product != Product::Unknown).then(|| product.name());
        let kind = model.unwrap_or(MANUFACTURER);
        Self {
            ids: [object_id(serial)],
            name: name.map_or_else(|| format!("{kind} {serial}"), str::to_owned),
            mf: MANUFACTURER,
            mdl: model,
            via_device: relay.map(object_id),
            sn: serial.to_string(),
            suggested_area: site,
        }
    }
}

/// Name of a device in topics, and its identifier.
pub(super) fn object_id(serial: u32) -> String {
    format!("energi_{serial}")
}

/// The program that announces.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct DiscoveryOrigin {
    name: &'static str,
    sw: &'static str,
}

impl DiscoveryOrigin {
    pub(super) const THIS: Self = Self { name: ORIGIN, sw: env!("CARGO_PKG_VERSION") };
}

/// An entity that exists, or one that exists no longer and is only named.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EntityEntry<'a> {
    Removed { p: &'a str },
    Present(EntityConfig<'a>),
}

fn as_map<S: Serializer>(
    cmps: &[(&str, EntityEntry<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(cmps.iter().map(|(id, entry)| (id, entry)))
}
