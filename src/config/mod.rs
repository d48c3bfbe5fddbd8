//! The configuration: one YAML file.

mod env;
mod error;
mod load;
mod place;
mod reader;
mod sections;
mod tree;
mod write;
mod wrong;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use serde_yaml::Value;

use energi_sinks::Context;
use energi_sinks::registry::AnyConfig;
use energi_sinks::settings::{Period, Tariff};
use energi_sinks::status::StatusHandle;

pub use env::{Environment, escape};
pub use error::{ConfigErrors, Fault};
pub use load::{find, load, parse};
pub use sections::{
    Capture, Decoders, Device, Devices, Live, Remote, Replay, SimulatedDevices, Simulator, Start,
};
pub use write::{scalar, write_secret};

/// A whole configuration, valid, every default filled in.
///
/// Serialized it shows no secret.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The file that it was read from.
    #[serde(skip)]
    pub file: PathBuf,
    /// A label of the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Time zone in which days begin.
    #[serde(serialize_with = "zone_name", skip_serializing_if = "has_no_name")]
    pub timezone: TimeZone,
    /// Longest time that sinks may take to finish once the gateway stops.
    pub shutdown_timeout: Period,
    /// Price of electricity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Tariff>,
    /// Source of frames.
    pub capture: Capture,
    /// Names of devices, and who is let in.
    pub devices: Devices,
    /// Decoders that are on.
    pub decoders: Decoders,
    /// Destinations of readings: one sink at least, each name once.
    pub sinks: Vec<SinkEntry>,
    /// Warnings about a valid configuration.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// One sink of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SinkEntry {
    /// Name of the sink; its type by default.
    pub name: String,
    /// The type and keys.
    #[serde(flatten)]
    pub config: AnyConfig,
}

impl Config {
    /// A configuration of `capture` alone: every other section has its defaults, and there are no
    /// sinks yet.
    #[must_use]
    pub fn of(capture: Capture) -> Self {
        Self {
            file: PathBuf::new(),
            site: None,
            timezone: TimeZone::system(),
            tariff: None,
            shutdown_timeout: Period::from_secs(10),
            capture,
            devices: Devices::default(),
            decoders: Decoders::default(),
            sinks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Returns the context of the sink called `name`.
    #[must_use]
    pub fn context(&self, name: &str) -> Context {
        Context {
            name: name.to_owned(),
            site: self.site.clone(),
            timezone: self.timezone.clone(),
            device_names: Arc::new(self.devices.names()),
            only_devices: self.devices.only().map(Arc::new),
            layouts: self.decoders.layouts().into(),
            live: self.capture.is_live(),
            backpressure: self.capture.backpressure(),
            tariff: self.tariff.clone(),
            status: StatusHandle::default(),
        }
    }

    /// The configuration as YAML that reads back as the same, but for secrets: they are `***`.
    ///
    /// # Errors
    /// A path that is not UTF-8 cannot be written.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let mut document = serde_yaml::to_value(self)?;
        escape_dollars(&mut document);
        serde_yaml::to_string(&document)
    }
}

fn zone_name<S: Serializer>(timezone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    timezone.iana_name().serialize(serializer)
}

/// A system may keep its time zone as rules without a name.
fn has_no_name(timezone: &TimeZone) -> bool {
    timezone.iana_name().is_none()
}

fn escape_dollars(value: &mut Value) {
    match value {
        Value::String(text) => *text = env::escape(text),
        Value::Sequence(list) => list.iter_mut().for_each(escape_dollars),
        Value::Mapping(map) => map.values_mut().for_each(escape_dollars),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => {}
    }
}
