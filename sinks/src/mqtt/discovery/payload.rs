//! The discovery message of one device.
//!
//! Source: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>.

use serde::{Serialize, Serializer};

use super::entity::EntityConfig;
use crate::mqtt::message::QoS;

/// What Home Assistant's log and ours know these messages by.
pub(super) const ORIGIN: &str = "energi-gateway";

/// A device and its entities.
#[derive(Debug, Serialize)]
pub(super) struct DiscoveryPayload<'a> {
    pub(super) dev: DeviceInfo<'a>,
    pub(super) o: DiscoveryOrigin,
    /// What all entities follow that do not say otherwise.
    pub(super) availability: &'a [Availability],
    pub(super) availability_mode: &'static str,
    /// The quality of service that states are asked for with.
    pub(super) qos: QoS,
    #[serde(serialize_with = "as_map")]
    pub(super) cmps: Vec<(&'a str, EntityEntry<'a>)>,
}

/// The device itself.
#[derive(Debug, Serialize)]
pub(super) struct DeviceInfo<'a> {
    ids: [String; 1],
    name: String,
    mf: &'static str,
    mdl: &'static str,
    sn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_area: Option<&'a str>,
}

impl<'a> DeviceInfo<'a> {
    pub(super) fn new(serial: u32, name: Option<&str>, site: Option<&'a str>) -> Self {
        Self {
            ids: [object_id(serial)],
            name: name.map_or_else(|| format!("eddi {serial}"), str::to_owned),
            mf: "myenergi",
            mdl: "eddi",
            sn: serial.to_string(),
            suggested_area: site,
        }
    }
}

/// What a device is called in its discovery topic and by its identifier.
pub(super) fn object_id(serial: u32) -> String {
    format!("energi_{serial}")
}

/// Who sends the message.
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

/// Where to ask for help: the package's homepage, once it has one.
const fn link(homepage: &str) -> Option<&str> {
    if homepage.is_empty() { None } else { Some(homepage) }
}

/// A topic that says `online` or `offline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Availability {
    pub(super) topic: String,
}

/// An entity that there is, or one that there is no longer: only its platform is said then.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EntityEntry<'a> {
    Removed { p: &'a str },
    Present(Box<EntityConfig<'a>>),
}

fn as_map<S: Serializer>(
    cmps: &[(&str, EntityEntry<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(cmps.iter().map(|(id, entry)| (id, entry)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_origin_has_a_version_and_the_homepage_once_there_is_one() {
        let origin = |homepage| DiscoveryOrigin { url: link(homepage), ..DiscoveryOrigin::THIS };
        let plain = json!({"name": "energi-gateway", "sw": env!("CARGO_PKG_VERSION")});
        assert_eq!(json!(origin("")), plain);
        let mut linked = plain;
        linked["url"] = json!("https://energi.example");
        assert_eq!(json!(origin("https://energi.example")), linked);
    }
}
