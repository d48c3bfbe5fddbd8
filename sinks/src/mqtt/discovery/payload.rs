//! Discovery messages.
//!
//! Sources: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>,
//! <https://www.home-assistant.io/integrations/mqtt/#single-component-discovery-payload>.

use energi_decoders::Product;
use serde::{Serialize, Serializer};

use crate::mqtt::message::QoS;

/// Name of the program in Home Assistant's log, and the mark of its announcements.
pub(super) const ORIGIN: &str = "energi-gateway";

const MANUFACTURER: &str = "myenergi";

/// Message that has Home Assistant keep the settings of an entity whose announcement moves to
/// another topic.
pub(super) const MIGRATE: &str = r#"{"migrate_discovery":true}"#;

/// A device, and what its entities have in common.
#[derive(Debug, Serialize)]
pub(super) struct DiscoveryHead<'a> {
    pub(super) dev: DeviceInfo<'a>,
    pub(super) o: DiscoveryOrigin,
    /// Topics that all entities follow unless they have their own.
    pub(super) availability: &'a [AvailabilityTopic],
    pub(super) availability_mode: &'static str,
    /// Quality of service of Home Assistant's subscriptions.
    pub(super) qos: QoS,
}

/// Announcement of a device with all its entities.
#[derive(Debug, Serialize)]
pub(super) struct DevicePayload<'a, E: Serialize> {
    #[serde(flatten)]
    pub(super) head: &'a DiscoveryHead<'a>,
    #[serde(serialize_with = "as_map")]
    pub(super) cmps: Vec<(&'a str, EntityEntry<'a, E>)>,
}

/// Announcement of one entity.
#[derive(Debug, Serialize)]
pub(super) struct ComponentPayload<'a, E: Serialize> {
    pub(super) dev: &'a DeviceInfo<'a>,
    pub(super) o: &'a DiscoveryOrigin,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability: Option<&'a [AvailabilityTopic]>,
    pub(super) availability_mode: &'static str,
    pub(super) qos: QoS,
    #[serde(flatten)]
    pub(super) entity: E,
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
#[derive(Debug, Serialize)]
pub(super) struct DiscoveryOrigin {
    name: &'static str,
    sw: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
}

impl DiscoveryOrigin {
    pub(super) const THIS: Self =
        Self { name: ORIGIN, sw: env!("CARGO_PKG_VERSION"), url: link(env!("CARGO_PKG_HOMEPAGE")) };
}

/// Returns the package's homepage, once there is one.
const fn link(homepage: &str) -> Option<&str> {
    if homepage.is_empty() { None } else { Some(homepage) }
}

/// A topic that is `online` or `offline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AvailabilityTopic {
    pub(super) topic: String,
}

/// An entity that exists, or one that exists no longer and is only named.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EntityEntry<'a, E: Serialize> {
    Removed { p: &'a str },
    Present(E),
}

fn as_map<E: Serialize, S: Serializer>(
    cmps: &[(&str, EntityEntry<'_, E>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(cmps.iter().map(|(id, entry)| (id, entry)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_origin_links_a_homepage_that_exists() {
        let origin = |homepage| DiscoveryOrigin { url: link(homepage), ..DiscoveryOrigin::THIS };
        let plain = json!({"name": "energi-gateway", "sw": env!("CARGO_PKG_VERSION")});
        assert_eq!(json!(origin("")), plain);
        let mut linked = plain;
        linked["url"] = json!("https://energi.example");
        assert_eq!(json!(origin("https://energi.example")), linked);
    }
}
