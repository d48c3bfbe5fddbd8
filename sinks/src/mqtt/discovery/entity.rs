//! One entity of a device, as Home Assistant is told of it.
//!
//! Sources: <https://www.home-assistant.io/integrations/sensor.mqtt/>,
//! <https://www.home-assistant.io/integrations/binary_sensor.mqtt/>, and for the classes
//! <https://developers.home-assistant.io/docs/core/entity/sensor>.

use energi_decoders::{Class, Field, Layout, Trust};
use serde::Serialize;

use crate::eddi_state;

use super::payload::Availability;

/// The two platforms that there are entities of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Platform {
    Sensor,
    BinarySensor,
}

impl Platform {
    const fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::BinarySensor => "binary_sensor",
        }
    }
}

/// What a metric is in Home Assistant's terms: the part that is the same for every device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct EntityKind {
    #[serde(rename = "p")]
    platform: Platform,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_on: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_off: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_by_default: Option<bool>,
}

impl EntityKind {
    const fn of(platform: Platform, device_class: Option<&'static str>) -> Self {
        Self {
            platform,
            device_class,
            state_class: None,
            options: None,
            payload_on: None,
            payload_off: None,
            entity_category: None,
            enabled_by_default: None,
        }
    }

    const fn sensor(device_class: &'static str) -> Self {
        Self::of(Platform::Sensor, Some(device_class))
    }

    const fn flag(device_class: Option<&'static str>) -> Self {
        Self {
            payload_on: Some("1"),
            payload_off: Some("0"),
            ..Self::of(Platform::BinarySensor, device_class)
        }
    }

    const fn measured(self) -> Self {
        Self { state_class: Some("measurement"), ..self }
    }

    /// What explains a device rather than being what it is for.
    const fn diagnostic(self) -> Self {
        Self { entity_category: Some("diagnostic"), ..self }
    }

    /// Left out until somebody asks for it. Home Assistant wants that of diagnostics that change
    /// with nearly every reading, so that they do not fill its database.
    const fn asleep(self) -> Self {
        Self { enabled_by_default: Some(false), ..self }
    }

    /// Asked for already, by whoever switched its decoder on. And Home Assistant cannot be told to
    /// drop an entity that is disabled there.
    const fn awake(self) -> Self {
        Self { enabled_by_default: None, ..self }
    }

    const fn of_class(class: Class) -> Self {
        match class {
            Class::Power => Self::sensor("power").measured(),
            Class::Temperature => Self::sensor("temperature").measured(),
            // A counter that begins anew each day: `total_increasing`, and no `last_reset`.
            Class::EnergyToday => {
                Self { state_class: Some("total_increasing"), ..Self::sensor("energy") }
            }
            Class::Frequency => Self::sensor("frequency").measured().diagnostic().asleep(),
            Class::Voltage => Self::sensor("voltage").measured().diagnostic().asleep(),
            Class::Current => Self::sensor("current").measured().diagnostic().asleep(),
            // No statistics of what does not change.
            Class::Rating => Self::sensor("power").diagnostic(),
            // Nobody knows when such an energy starts again: it is no counter.
            Class::Energy => Self::sensor("energy"),
            Class::Duration => Self::sensor("duration").diagnostic(),
            Class::Identifier => Self::of(Platform::Sensor, None).diagnostic(),
            Class::Choice(options) => Self { options: Some(options), ..Self::sensor("enum") },
            Class::Running => Self::flag(Some("running")),
            Class::Heat => Self::flag(Some("heat")),
            Class::Flag => Self::flag(None),
            // Without a class of state it would be taken for text.
            Class::Unknown => Self::of(Platform::Sensor, None).measured(),
        }
    }
}

/// An entity but for the device that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entity {
    /// Its id within the device, for ever: the key in lower case, `/` as `_`.
    pub(super) id: String,
    /// The key of its topic.
    pub(super) key: String,
    name: String,
    unit: Option<String>,
    precision: Option<u8>,
    kind: EntityKind,
    lasting: bool,
}

impl Entity {
    /// The entity of a row of a field table.
    pub(super) fn of(field: &Field, layout: &Layout) -> Self {
        let metric = &field.metric;
        let kind = EntityKind::of_class(metric.class);
        let (kind, name) = match layout.status {
            Trust::Confirmed => (kind, metric.label.to_string()),
            // The labels of several packets are alike.
            Trust::Declared => (kind.awake(), format!("0x{:02X} {}", layout.length, metric.label)),
            Trust::Experimental => {
                (kind.diagnostic().awake(), format!("0x{:02X} {}", layout.length, metric.label))
            }
        };
        Self {
            id: id(field.key()),
            key: field.key().to_owned(),
            name,
            unit: Some(metric.unit.to_string()).filter(|unit| !unit.is_empty()),
            precision: metric.class.is_number().then(|| decimals(field)),
            kind,
            lasting: metric.class == Class::EnergyToday,
        }
    }

    /// The entity of the state in one word.
    pub(super) fn of_status() -> Self {
        Self {
            id: "status".to_owned(),
            key: "status".to_owned(),
            name: "Status".to_owned(),
            unit: None,
            precision: None,
            kind: EntityKind { options: Some(&eddi_state::WORDS), ..EntityKind::sensor("enum") },
            lasting: false,
        }
    }

    /// The platform's name in Home Assistant.
    pub(super) const fn platform(&self) -> &'static str {
        self.kind.platform.name()
    }

    /// Whether its last value stays true while the device is silent: a counter's does. Marking it
    /// unavailable would only tear holes in its statistics.
    pub(super) const fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// The entity of one device.
    pub(super) fn component<'a>(
        &'a self,
        serial: u32,
        state_topic: String,
        until: Until<'a>,
    ) -> EntityConfig<'a> {
        let unique_id = format!("energi_{serial}_{}", self.id);
        EntityConfig {
            // An entity's id is made of small letters, digits and `_`.
            default_entity_id: format!("{}.{}", self.platform(), unique_id.replace('-', "_")),
            unique_id,
            name: &self.name,
            state_topic,
            unit_of_measurement: self.unit.as_deref(),
            suggested_display_precision: self.precision,
            kind: &self.kind,
            until,
        }
    }
}

/// How long a state holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Until<'a> {
    /// As long as the device, and so many seconds at most.
    Expired {
        #[serde(skip_serializing_if = "Option::is_none")]
        expire_after: Option<u64>,
    },
    /// As long as the gateway.
    Offline { availability: &'a [Availability] },
}

/// One entity of one device.
#[derive(Debug, Serialize)]
pub(super) struct EntityConfig<'a> {
    #[serde(flatten)]
    kind: &'a EntityKind,
    unique_id: String,
    default_entity_id: String,
    name: &'a str,
    state_topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    #[serde(flatten)]
    until: Until<'a>,
}

fn id(key: &str) -> String {
    key.to_lowercase().replace('/', "_")
}

/// How many decimals the divisor of a field gives its values.
fn decimals(field: &Field) -> u8 {
    /// More are noise, and 1/3 has no end of them.
    const MOST: u8 = 3;
    let whole = |value: f64| value.fract() == 0.0;
    let steps = [1.0, 10.0, 100.0, 1000.0];
    (0..MOST)
        .zip(steps)
        .find(|(_, step)| whole(step / field.divide) && whole(field.add * step))
        .map_or(MOST, |(decimals, _)| decimals)
}
