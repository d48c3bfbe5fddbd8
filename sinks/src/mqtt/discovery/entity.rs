//! One entity of a device, as it is announced.
//!
//! Sources: <https://www.home-assistant.io/integrations/sensor.mqtt/>,
//! <https://www.home-assistant.io/integrations/binary_sensor.mqtt/>, and for the classes
//! <https://developers.home-assistant.io/docs/core/entity/sensor>.

use energi_decoders::{Class, Field, Layout, Trust};
use serde::Serialize;

use crate::eddi_state;

/// Platforms of entities.
pub(super) const SENSOR: &str = "sensor";
pub(super) const BINARY_SENSOR: &str = "binary_sensor";

/// A topic that is `online` or `offline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AvailabilityTopic {
    pub(super) topic: String,
}

/// A metric in Home Assistant's terms: the part that is the same for every device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct EntityKind {
    #[serde(skip)]
    platform: &'static str,
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
    fn of(platform: &'static str, device_class: Option<&'static str>) -> Self {
        Self { platform, device_class, ..Self::default() }
    }

    fn sensor(device_class: &'static str) -> Self {
        Self::of(SENSOR, Some(device_class))
    }

    fn flag(device_class: Option<&'static str>) -> Self {
        Self {
            payload_on: Some("1"),
            payload_off: Some("0"),
            ..Self::of(BINARY_SENSOR, device_class)
        }
    }

    fn measured(self) -> Self {
        Self { state_class: Some("measurement"), ..self }
    }

    /// An entity that explains a device rather than being its purpose.
    fn diagnostic(self) -> Self {
        Self { entity_category: Some("diagnostic"), ..self }
    }

    /// An entity that is disabled at first. Home Assistant wants that of diagnostics that change
    /// with nearly every reading, so that they do not fill its database.
    fn disabled(self) -> Self {
        Self { enabled_by_default: Some(false), ..self }
    }

    /// An entity that is enabled at first: its decoder was switched on. And an entity that is
    /// disabled in Home Assistant cannot be removed from there.
    fn enabled(self) -> Self {
        Self { enabled_by_default: None, ..self }
    }

    fn of_class(class: Class) -> Self {
        match class {
            Class::Power => Self::sensor("power").measured(),
            Class::Temperature => Self::sensor("temperature").measured(),
            // A counter that starts again each day: `total_increasing`, and no `last_reset`.
            Class::EnergyToday => {
                Self { state_class: Some("total_increasing"), ..Self::sensor("energy") }
            }
            Class::Frequency => Self::sensor("frequency").measured().diagnostic().disabled(),
            Class::Voltage => Self::sensor("voltage").measured().diagnostic().disabled(),
            Class::Current => Self::sensor("current").measured().diagnostic().disabled(),
            // No statistics of what does not change.
            Class::Rating => Self::sensor("power").diagnostic(),
            // Nobody knows when such an energy starts again: it is no counter.
            Class::Energy => Self::sensor("energy"),
            Class::Duration => Self::sensor("duration").diagnostic(),
            Class::Identifier => Self::of(SENSOR, None).diagnostic(),
            Class::Choice(options) => Self { options: Some(options), ..Self::sensor("enum") },
            Class::Running => Self::flag(Some("running")),
            Class::Flag => Self::flag(None),
            // Without a class of state it would be taken for text.
            Class::Unknown => Self::of(SENSOR, None).measured(),
        }
    }
}

/// Condition under which the last value of an entity is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    /// The device, and for some time: the value is expected again and again.
    Device,
    /// The gateway: a counter's value stays true while the device is silent, and marking it
    /// unavailable would tear holes into its statistics.
    Gateway,
}

/// An entity without the device that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entity {
    /// Permanent id within the device: the key in lower case, `/` as `_`.
    pub(super) id: String,
    /// Key of its topic.
    pub(super) key: String,
    name: String,
    unit: Option<String>,
    precision: Option<u8>,
    kind: EntityKind,
    pub(super) validity: Validity,
}

impl Entity {
    /// The entity of a row of a field table.
    pub(super) fn of(field: &Field, layout: &Layout) -> Self {
        let metric = &field.metric;
        let kind = EntityKind::of_class(metric.class);
        // The labels of several packets are alike, and those of several channels.
        let labels = layout.fields.iter().map(|field| &field.metric.label);
        let label = if labels.filter(|label| **label == metric.label).count() > 1 {
            field.key().rsplit('/').next().unwrap_or_default().replace('_', " ")
        } else {
            metric.label.to_string()
        };
        let prefixed = || format!("{} {label}", layout.prefix());
        let (kind, name) = match layout.status {
            Trust::Confirmed => (kind, metric.label.to_string()),
            Trust::Declared => (kind.enabled(), prefixed()),
            Trust::Experimental => (kind.diagnostic().enabled(), prefixed()),
        };
        let lasts = metric.class == Class::EnergyToday;
        Self {
            unit: Some(metric.unit.to_string()).filter(|unit| !unit.is_empty()),
            precision: metric.class.is_number().then(|| decimals(field)),
            validity: if lasts { Validity::Gateway } else { Validity::Device },
            ..Self::new(field.key(), &name, kind)
        }
    }

    /// The entity of the state in one word.
    pub(super) fn of_status() -> Self {
        let kind = EntityKind { options: Some(&eddi_state::WORDS), ..EntityKind::sensor("enum") };
        Self::new("status", "Status", kind)
    }

    /// The entity of an energy of today.
    pub(super) fn of_energy(key: &str, name: &str) -> Self {
        Self {
            unit: Some("kWh".to_owned()),
            precision: Some(2),
            validity: Validity::Gateway,
            ..Self::new(key, name, EntityKind::of_class(Class::EnergyToday))
        }
    }

    /// The entity of a problem.
    pub(super) fn of_problem(key: &str, name: &str, validity: Validity) -> Self {
        Self { validity, ..Self::new(key, name, EntityKind::flag(Some("problem"))) }
    }

    fn new(key: &str, name: &str, kind: EntityKind) -> Self {
        Self {
            id: key.to_lowercase().replace('/', "_"),
            key: key.to_owned(),
            name: name.to_owned(),
            unit: None,
            precision: None,
            kind,
            validity: Validity::Device,
        }
    }

    /// Name of the platform in Home Assistant.
    pub(super) const fn platform(&self) -> &'static str {
        self.kind.platform
    }

    /// Returns the entity of one device; `listed` among others of the device, which names its
    /// platform and the device's availability once for all.
    pub(super) fn config<'a>(
        &'a self,
        serial: u32,
        state_topic: String,
        listed: bool,
        bridge: &'a [AvailabilityTopic],
        expire_after: Option<u64>,
    ) -> EntityConfig<'a> {
        let unique_id = format!("energi_{serial}_{}", self.id);
        let lasts = self.validity == Validity::Gateway;
        EntityConfig {
            platform: listed.then(|| self.platform()),
            // An entity's id has small letters, digits and `_` only.
            default_entity_id: format!("{}.{}", self.platform(), unique_id.replace('-', "_")),
            unique_id,
            name: &self.name,
            state_topic,
            unit_of_measurement: self.unit.as_deref(),
            suggested_display_precision: self.precision,
            kind: &self.kind,
            expire_after: expire_after.filter(|_| !lasts),
            availability: lasts.then_some(bridge),
        }
    }
}

/// One entity of one device.
#[derive(Debug, Serialize)]
pub(super) struct EntityConfig<'a> {
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<&'a [AvailabilityTopic]>,
}

/// Returns the number of decimals that the divisor of a field gives its values.
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
