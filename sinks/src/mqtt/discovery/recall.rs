//! Topics of announcements, and what earlier ones left on the broker.

use std::collections::BTreeMap;

use energi_decoders::Product;
use serde::Deserialize;

use super::entity::{BINARY_SENSOR, SENSOR};
use super::payload::{ORIGIN, object_id};
use crate::mqtt::config::{DiscoveryConfig, DiscoveryStyle};
use crate::mqtt::topics::Topics;

/// Platforms of entities, as topics of single entities have them.
const PLATFORMS: [&str; 2] = [SENSOR, BINARY_SENSOR];

/// Topics that Home Assistant reads announcements from.
#[derive(Debug, Clone)]
pub(in crate::mqtt) struct DiscoveryTopics {
    prefix: String,
    pub(super) style: DiscoveryStyle,
}

/// An announcement of this program that was read back.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct Recalled {
    /// The device that it announced.
    pub(in crate::mqtt) serial: u32,
    pub(super) style: DiscoveryStyle,
    pub(super) product: Product,
    /// The device that relays it.
    pub(super) relay: Option<u32>,
    /// Platform of each of its entities, by the entity's id.
    pub(super) platforms: BTreeMap<String, String>,
}

/// The parts of an announcement that show whose it is and what it announced.
#[derive(Deserialize)]
struct RetainedConfig {
    o: RetainedOrigin,
    dev: RetainedInfo,
    /// Entities of a device, where it is one.
    #[serde(default)]
    cmps: BTreeMap<String, RetainedEntity>,
    /// Topic of an entity, where it is one.
    state_topic: Option<String>,
}

#[derive(Deserialize)]
struct RetainedOrigin {
    name: String,
}

#[derive(Deserialize)]
struct RetainedInfo {
    mdl: Option<String>,
    via_device: Option<String>,
}

impl RetainedInfo {
    fn product(&self) -> Product {
        let products = [Product::Eddi, Product::Zappi, Product::Harvi].into_iter();
        let is_it = |product: &Product| self.mdl.as_deref() == Some(product.name());
        products.into_iter().find(is_it).unwrap_or_default()
    }

    fn relay(&self) -> Option<u32> {
        self.via_device.as_ref()?.strip_prefix("energi_")?.parse().ok()
    }
}

#[derive(Deserialize)]
struct RetainedEntity {
    p: String,
    state_topic: Option<String>,
}

impl DiscoveryTopics {
    pub(in crate::mqtt) fn new(config: &DiscoveryConfig) -> Self {
        Self { prefix: config.prefix.clone(), style: config.style }
    }

    /// Topic on which Home Assistant says that it has started.
    pub(super) fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Topic of a device's announcement.
    pub(super) fn device(&self, serial: u32) -> String {
        format!("{}/device/{}/config", self.prefix, object_id(serial))
    }

    /// Topic of an entity's announcement.
    pub(super) fn component(&self, serial: u32, platform: &str, id: &str) -> String {
        format!("{}/{platform}/{}/{id}/config", self.prefix, object_id(serial))
    }

    /// Filters for all announcements of a device, in both styles.
    pub(in crate::mqtt) fn of_device(&self, serial: u32) -> [String; 2] {
        [self.device(serial), self.component(serial, "+", "+")]
    }

    /// Filters for the announcements of every device, also other programs'.
    pub(in crate::mqtt) fn every_config(&self) -> [String; 3] {
        let [sensors, flags] =
            PLATFORMS.map(|platform| format!("{}/{platform}/+/+/config", self.prefix));
        [format!("{}/device/+/config", self.prefix), sensors, flags]
    }

    /// Topic for a message that tries whether this client may publish announcements: that of a
    /// device that does not exist.
    pub(in crate::mqtt) fn check(&self) -> String {
        self.device(0)
    }

    /// Reads `payload`, which a broker has kept under `topic`. `None` where it is another
    /// program's, or that of a gateway whose values have another base topic.
    pub(in crate::mqtt) fn read(
        &self,
        topics: &Topics,
        topic: &str,
        payload: &[u8],
    ) -> Option<Recalled> {
        let below = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?.strip_suffix("/config")?;
        let parts: Vec<_> = below.split('/').collect();
        let serial = parts.get(1)?.strip_prefix("energi_")?.parse().ok()?;
        let base = topics.device(serial);
        let ours = |topic: &str| topic.strip_prefix(&base).is_some_and(|it| it.starts_with('/'));
        // Not a serial number in some other spelling.
        if parts[1] != object_id(serial) {
            return None;
        }
        let RetainedConfig { o, dev, cmps, state_topic } = serde_json::from_slice(payload).ok()?;
        if o.name != ORIGIN {
            return None;
        }
        let (product, relay) = (dev.product(), dev.relay());
        let recalled = |style, platforms| Recalled { serial, style, product, relay, platforms };
        match parts[..] {
            ["device", _] => {
                let mut topics = cmps.values().filter_map(|it| it.state_topic.as_ref());
                // Entities that are being removed have none.
                let known = topics.clone().next().is_some();
                (known && topics.all(|topic| ours(topic))).then(|| {
                    let platforms = cmps.into_iter().map(|(id, entity)| (id, entity.p)).collect();
                    recalled(DiscoveryStyle::Device, platforms)
                })
            }
            [platform, _, id] if PLATFORMS.contains(&platform) => ours(&state_topic?).then(|| {
                let platforms = BTreeMap::from([(id.to_owned(), platform.to_owned())]);
                recalled(DiscoveryStyle::Components, platforms)
            }),
            _ => None,
        }
    }
}
