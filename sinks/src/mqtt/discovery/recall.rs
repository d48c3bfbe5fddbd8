//! What earlier announcements left on the broker.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::payload::{ORIGIN, object_id};
use crate::mqtt::topics::Topics;

/// An announcement of ours that was read back.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct Recalled {
    /// The device that it announced.
    pub(in crate::mqtt) serial: u32,
    /// The platform of each of its entities, by the entity's id.
    pub(super) platforms: BTreeMap<String, String>,
}

/// The parts of an announcement that say whose it is and what it announced.
#[derive(Deserialize)]
struct Retained {
    o: Origin,
    cmps: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Origin {
    name: String,
}

#[derive(Deserialize)]
struct Component {
    p: String,
    state_topic: Option<String>,
}

impl Recalled {
    /// Reads `payload`, which a broker had kept under `topic`. `None` where it is not ours: another
    /// program's, or that of a gateway whose values have another base topic.
    pub(in crate::mqtt) fn read(
        prefix: &str,
        topics: &Topics,
        topic: &str,
        payload: &[u8],
    ) -> Option<Self> {
        let serial = serial(prefix, topic)?;
        let retained: Retained = serde_json::from_slice(payload).ok()?;
        let below = topics.device(serial);
        let ours = |component: &Component| match &component.state_topic {
            Some(topic) => topic.strip_prefix(&below).is_some_and(|rest| rest.starts_with('/')),
            // One that is being removed has none.
            None => true,
        };
        let known = retained.cmps.values().any(|component| component.state_topic.is_some());
        let ours = known && retained.o.name == ORIGIN && retained.cmps.values().all(ours);
        ours.then(|| Self {
            serial,
            platforms: retained.cmps.into_iter().map(|(id, component)| (id, component.p)).collect(),
        })
    }
}

/// The topic of a device's announcement.
pub(super) fn config_topic(prefix: &str, serial: u32) -> String {
    format!("{prefix}/device/{}/config", object_id(serial))
}

/// The topics of the announcements of every device, also other programs'.
pub(in crate::mqtt) fn every_config(prefix: &str) -> String {
    format!("{prefix}/device/+/config")
}

/// The device whose announcement has this topic.
fn serial(prefix: &str, topic: &str) -> Option<u32> {
    let object_id = topic.strip_prefix(prefix)?.strip_prefix("/device/")?;
    let serial = object_id.strip_suffix("/config")?.strip_prefix("energi_")?.parse().ok()?;
    // Not a serial number in some other spelling.
    (config_topic(prefix, serial) == topic).then_some(serial)
}
