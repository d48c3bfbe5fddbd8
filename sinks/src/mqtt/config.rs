//! What YAML may say of an `mqtt` sink.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use energi_decoders::{Field, Raw, packets};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::broker::BrokerUrl;
use super::message::QoS;
use super::topics;
use crate::settings::{Period, Problem, Secret, check_pair};

/// An MQTT broker, and how to publish to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Where the broker is.
    pub url: BrokerUrl,
    /// The topic that all others stand below.
    #[serde(default = "default::topic")]
    pub topic: String,
    /// The user's name, where the broker asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// What the connection calls itself; one that no other client has by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// A connection without traffic is tried this often; the broker takes it for dead after one and
    /// a half times as long.
    #[serde(default = "default::keep_alive")]
    pub keep_alive: Period,
    /// How surely values arrive.
    #[serde(default)]
    pub qos: QoS,
    /// Whether the broker keeps values for those who subscribe later.
    #[serde(default)]
    pub retain: bool,
    /// The least time between two messages of a topic; none sends every reading.
    #[serde(default = "default::interval")]
    pub interval: Period,
    /// By how much a value must have moved to be sent before [`heartbeat`](Self::heartbeat), by
    /// key.
    #[serde(default)]
    pub deadband: BTreeMap<String, f64>,
    /// A value that has not moved is sent again after this time.
    #[serde(default = "default::heartbeat")]
    pub heartbeat: Period,
    /// Whether all values of a device are published as one JSON object too.
    #[serde(default = "default::state")]
    pub state: bool,
    /// A device that is silent for so long is offline.
    #[serde(default = "default::device_timeout")]
    pub device_timeout: Period,
    /// How Home Assistant is told of the devices; `false` for not at all.
    #[serde(default = "default::discovery", with = "switch")]
    pub discovery: Option<DiscoveryConfig>,
    /// The certificate of the authority that vouches for the broker; the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The certificate by which the broker knows this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// The private key to [`client_cert`](Self::client_cert).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// How Home Assistant is told of the devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// The topic that Home Assistant listens below.
    pub prefix: String,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { prefix: "homeassistant".to_owned() }
    }
}

mod default {
    use super::{DiscoveryConfig, Period};

    pub(super) fn topic() -> String {
        "myenergi".to_owned()
    }

    pub(super) fn keep_alive() -> Period {
        Period::from_secs(30)
    }

    pub(super) fn interval() -> Period {
        Period::from_secs(10)
    }

    pub(super) fn heartbeat() -> Period {
        Period::from_secs(60)
    }

    pub(super) fn state() -> bool {
        true
    }

    pub(super) fn device_timeout() -> Period {
        Period::from_secs(120)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the type of what it is the default of")]
    pub(super) fn discovery() -> Option<DiscoveryConfig> {
        Some(DiscoveryConfig::default())
    }
}

/// Something that is either configured or `false`.
mod switch {
    use super::{DiscoveryConfig, Serialize, Serializer, SwitchVisitor};
    use serde::Deserializer;

    #[expect(clippy::ref_option, reason = "as serde asks")]
    pub(super) fn serialize<S: Serializer>(
        discovery: &Option<DiscoveryConfig>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match discovery {
            Some(discovery) => discovery.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DiscoveryConfig>, D::Error> {
        deserializer.deserialize_any(SwitchVisitor)
    }
}

struct SwitchVisitor;

impl<'de> Visitor<'de> for SwitchVisitor {
    type Value = Option<DiscoveryConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping such as {prefix: homeassistant}, or false")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(DiscoveryConfig::default))
    }

    /// Every key below it may be commented out.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.visit_bool(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        DiscoveryConfig::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// The keep-alive of MQTT is a whole number of seconds in 16 bits.
const LONGEST_KEEP_ALIVE: Period = Period::from_secs(65_535);

/// Longer, and nobody could tell a quiet device from a lost one.
const LONGEST_THROTTLE: Period = Period::from_days(1);

impl MqttConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        if let Some(fault) = topics::fault(&self.topic) {
            refuse("topic", fault);
        }
        if let Some(DiscoveryConfig { prefix }) = &self.discovery
            && let Some(fault) = topics::fault(prefix)
        {
            refuse("discovery.prefix", fault);
        }
        if self.retain && self.discovery.is_some() {
            refuse(
                "retain",
                "Home Assistant would take an old value for a new one after a restart; leave \
                 `retain` out, or write `discovery: false`",
            );
        }
        let password = self.password.is_some() || self.password_file.is_some();
        if password && self.username.is_none() {
            refuse("username", "a password needs a `username` too");
        }
        if self.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 200) {
            refuse("client_id", "1 to 200 bytes; leave it out for one that nobody else has");
        }
        let keep_alive = self.keep_alive.duration();
        if keep_alive < Duration::from_secs(1)
            || keep_alive.subsec_nanos() > 0
            || self.keep_alive > LONGEST_KEEP_ALIVE
        {
            refuse("keep_alive", "whole seconds, from 1 to 65535");
        }
        for (key, period) in [("interval", self.interval), ("heartbeat", self.heartbeat)] {
            if period > LONGEST_THROTTLE {
                refuse(key, "1d at most");
            }
        }
        if self.device_timeout.is_zero() {
            refuse("device_timeout", "longer than a device is silent by itself, such as 120s");
        }
        for (key, width) in &self.deadband {
            if let Some(fault) = deadband_fault(key, *width) {
                refuse(&format!("deadband.{key}"), fault);
            }
        }
        if !self.url.encrypted {
            for (key, file) in self.certificates() {
                if file.is_some() {
                    refuse(key, "only an encrypted connection uses it; write mqtts:// in `url`");
                }
            }
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            let (key, other) = match self.client_cert {
                Some(_) => ("client_key", "`client_cert` needs its `client_key`"),
                None => ("client_cert", "`client_key` needs its `client_cert`"),
            };
            refuse(key, other);
        }
        let (given, file) = (self.password.as_ref(), self.password_file());
        problems.extend(check_pair("password", given, file).err());
        problems
    }

    pub(super) fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    fn certificates(&self) -> [(&'static str, Option<&Path>); 3] {
        [
            ("ca_file", self.ca_file.as_deref()),
            ("client_cert", self.client_cert.as_deref()),
            ("client_key", self.client_key.as_deref()),
        ]
    }
}

/// What is wrong with a deadband, if anything. Keys with a prefix are as the user names them.
fn deadband_fault(key: &str, width: f64) -> Option<&'static str> {
    let field = packets::ALL.iter().flat_map(|layout| layout.fields.iter()).find(is(key));
    match field {
        _ if !(width.is_finite() && width >= 0.0) => Some("a number that is not negative"),
        Some(Field { raw: Raw::Bit(_), .. }) => Some("a flag has none: its change goes at once"),
        None if !key.starts_with("0x") => Some("no value is published under this key"),
        _ => None,
    }
}

fn is(key: &str) -> impl Fn(&&Field) -> bool {
    move |field| field.key() == key
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(more: &Value) -> MqttConfig {
        let mut config = json!({"url": "mqtt://broker"});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn a_broker_is_all_that_has_to_be_said() {
        let config = read(&json!({}));
        assert_eq!(config.problems(), []);
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({
                "url": "mqtt://broker",
                "topic": "myenergi",
                "keep_alive": "30s",
                "qos": 0,
                "retain": false,
                "interval": "10s",
                "deadband": {},
                "heartbeat": "1m",
                "state": true,
                "device_timeout": "2m",
                "discovery": {"prefix": "homeassistant"},
            })
        );
    }

    #[test]
    fn discovery_can_be_switched_off() {
        for (given, expected) in [
            (json!(false), json!(false)),
            (json!(true), json!({"prefix": "homeassistant"})),
            (json!(null), json!({"prefix": "homeassistant"})),
            (json!({"prefix": "ha"}), json!({"prefix": "ha"})),
        ] {
            let config = read(&json!({"discovery": given}));
            assert_eq!(serde_json::to_value(config).unwrap()["discovery"], expected);
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = read(&json!({"username": "me", "password": "hunter2"}));
        let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_cannot_work_is_refused_at_its_key() {
        for (wrong, keys) in [
            (json!({"topic": "a/#"}), &["topic"][..]),
            (json!({"discovery": {"prefix": "/ha"}}), &["discovery.prefix"]),
            (json!({"password": "x"}), &["username"]),
            (json!({"username": "me", "password": "x", "password_file": "y"}), &["password_file"]),
            (json!({"client_id": ""}), &["client_id"]),
            (json!({"keep_alive": 0}), &["keep_alive"]),
            (json!({"keep_alive": "1500ms"}), &["keep_alive"]),
            (json!({"keep_alive": "19h"}), &["keep_alive"]),
            (json!({"interval": "2d", "heartbeat": "2d"}), &["interval", "heartbeat"]),
            (json!({"device_timeout": 0}), &["device_timeout"]),
            (json!({"deadband": {"grid_power": 10}}), &["deadband.grid_power"]),
            (
                json!({"deadband": {"grid_pwr": -1, "boost": 1}}),
                &["deadband.boost", "deadband.grid_pwr"],
            ),
            (json!({"ca_file": "ca.pem"}), &["ca_file"]),
            (json!({"url": "mqtts://broker", "client_cert": "c.pem"}), &["client_key"]),
            (json!({"url": "mqtts://broker", "client_key": "k.pem"}), &["client_cert"]),
        ] {
            let problems = read(&wrong).problems();
            let found: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
            assert_eq!(found, keys, "{wrong}");
        }
    }
}
