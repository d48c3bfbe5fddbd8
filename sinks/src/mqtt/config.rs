//! Options of an `mqtt` sink.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use energi_decoders::{Field, Raw};
use serde::{Deserialize, Serialize};

use super::broker::BrokerUrls;
use super::energy;
use super::message::QoS;
use super::topics;
use crate::settings::{Period, Problem, Secret, check_pair};

/// Options of an `mqtt` sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Address of the broker, or a list of brokers that are tried in turn.
    pub url: BrokerUrls,
    /// Topic below which all others stand.
    #[serde(default = "default::topic")]
    pub topic: String,
    /// Name of the user, where the broker asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Name of the connection; by default one that no other client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Time limit for reaching the broker, and for its answer.
    #[serde(default = "default::connect_timeout")]
    pub connect_timeout: Period,
    /// Time without traffic after which the connection is tried; the broker gives it up after one
    /// and a half times as long.
    #[serde(default = "default::keep_alive")]
    pub keep_alive: Period,
    /// Quality of service of values.
    #[serde(default)]
    pub qos: QoS,
    /// Flag that has the broker keep values for later subscribers.
    #[serde(default)]
    pub retain: bool,
    /// Least time between two messages of a topic; zero sends every reading.
    #[serde(default = "default::interval")]
    pub interval: Period,
    /// Change by which a value must have moved to be sent before [`heartbeat`](Self::heartbeat), by
    /// key.
    #[serde(default)]
    pub deadband: BTreeMap<String, f64>,
    /// Time after which an unchanged value is sent again.
    #[serde(default = "default::heartbeat")]
    pub heartbeat: Period,
    /// Flag that adds all values of a device as one JSON object.
    #[serde(default = "default::state")]
    pub state: bool,
    /// Silence after which a device is offline.
    #[serde(default = "default::device_timeout")]
    pub device_timeout: Period,
    /// Announcements for Home Assistant; `false` for none.
    #[serde(default = "default::discovery", with = "switch")]
    pub discovery: Option<DiscoveryConfig>,
    /// Entities that report problems of a device; `false` for none.
    #[serde(default, with = "switch")]
    pub problems: Option<ProblemsConfig>,
    /// Certificate of the authority that signed the broker's; the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Certificate of this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// Private key to [`client_cert`](Self::client_cert).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// Announcements for Home Assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// Topic below which Home Assistant reads announcements.
    pub prefix: String,
    /// Size of an announcement.
    pub style: DiscoveryStyle,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { prefix: "homeassistant".to_owned(), style: DiscoveryStyle::default() }
    }
}

/// Size of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryStyle {
    /// One message for each device.
    #[default]
    Device,
    /// One message for each entity, for brokers that take small messages only.
    Components,
}

/// Entities that report problems of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProblemsConfig {
    /// Exported power, in W, above which the heater should take some.
    pub export_above: f64,
    /// Time for which it must have taken none.
    pub export_for: Period,
}

impl Default for ProblemsConfig {
    fn default() -> Self {
        Self { export_above: 100.0, export_for: Period::from_secs(30 * 60) }
    }
}

mod default {
    use super::{DiscoveryConfig, Period};

    pub(super) fn topic() -> String {
        "myenergi".to_owned()
    }

    pub(super) fn connect_timeout() -> Period {
        Period::from_secs(30)
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

    #[expect(clippy::unnecessary_wraps, reason = "the type of the option")]
    pub(super) fn discovery() -> Option<DiscoveryConfig> {
        Some(DiscoveryConfig::default())
    }
}

/// A mapping of options, or `false` for none; `true` and nothing stand for the defaults.
mod switch {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Error, MapAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "as serde asks")]
    pub(super) fn serialize<T: Serialize, S: Serializer>(
        options: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match options {
            Some(options) => options.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(SwitchVisitor(PhantomData))
    }

    struct SwitchVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for SwitchVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping of options, true or false")
        }

        fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on.then(T::default))
        }

        /// Every key of the mapping may be commented out.
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            self.visit_bool(true)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
}

/// MQTT's keep-alive is a whole number of seconds in 16 bits.
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
        if let Some(DiscoveryConfig { prefix, .. }) = &self.discovery
            && let Some(fault) = topics::fault(prefix)
        {
            refuse("discovery.prefix", fault);
        }
        if self.retain && self.discovery.is_some() {
            refuse(
                "retain",
                "Home Assistant would treat an old value as new after a restart; leave \
                 `retain` out, or write `discovery: false`",
            );
        }
        let password = self.password.is_some() || self.password_file.is_some();
        if password && self.username.is_none() {
            refuse("username", "a password needs a `username` too");
        }
        for (key, text) in [("username", &self.username), ("client_id", &self.client_id)] {
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                refuse(key, "control characters, such as a line break, are not allowed");
            }
        }
        if self.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 200) {
            refuse("client_id", "1 to 200 bytes; without this key the gateway uses a unique id");
        }
        let seconds = |period: Period| {
            period.duration() >= Duration::from_secs(1) && period.duration().subsec_nanos() == 0
        };
        if !seconds(self.keep_alive) || self.keep_alive > LONGEST_KEEP_ALIVE {
            refuse("keep_alive", "whole seconds, from 1 to 65535");
        }
        if !seconds(self.connect_timeout) {
            refuse("connect_timeout", "whole seconds, at least 1");
        }
        for (key, period) in [("interval", self.interval), ("heartbeat", self.heartbeat)] {
            if period > LONGEST_THROTTLE {
                refuse(key, "at most 1d");
            }
        }
        if self.device_timeout.is_zero() {
            refuse("device_timeout", "longer than a device is normally silent, such as 120s");
        }
        for (key, width) in &self.deadband {
            if let Some(fault) = deadband_fault(key, *width) {
                refuse(&format!("deadband.{key}"), fault);
            }
        }
        if let Some(ProblemsConfig { export_above, .. }) = self.problems
            && !(export_above.is_finite() && export_above >= 0.0)
        {
            refuse("problems.export_above", "a number of watts that is not negative");
        }
        if !self.url.encrypted() {
            let files = [
                ("ca_file", &self.ca_file),
                ("client_cert", &self.client_cert),
                ("client_key", &self.client_key),
            ];
            for (key, file) in files {
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
        let (given, file) = (self.password.as_ref(), self.password_file.as_deref());
        problems.extend(check_pair("password", given, file).err());
        problems
    }
}

/// Returns what is wrong with a deadband, if anything. Keys with a prefix are as the user names
/// them.
fn deadband_fault(key: &str, width: f64) -> Option<&'static str> {
    match topics::fields().find(|field| field.key() == key) {
        _ if !(width.is_finite() && width >= 0.0) => Some("a number that is not negative"),
        Some(Field { raw: Raw::Bit(_), .. }) => Some("a flag has none: its change goes at once"),
        None if !key.starts_with("0x") && !energy::KEYS.contains(&key) => {
            Some("no value is published under this key")
        }
        _ => None,
    }
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
    fn a_broker_is_all_that_has_to_be_given() {
        let config = read(&json!({}));
        assert_eq!(config.problems(), []);
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({
                "url": "mqtt://broker",
            "topic": "myenergi",
                "connect_timeout": "30s",
                "keep_alive": "30s",
                "qos": 0,
                "retain": false,
                "interval": "10s",
                "deadband": {},
                "heartbeat": "1m",
                "state": true,
                "device_timeout": "2m",
                "discovery": {"prefix": "homeassistant", "style": "device"},
                "problems": false,
            })
        );
    }

    #[test]
    fn discovery_can_be_switched_off() {
        for (given, expected) in [
            (json!(false), json!(false)),
            (json!(true), json!({"prefix": "homeassistant", "style": "device"})),
            (json!(null), json!({"prefix": "homeassistant", "style": "device"})),
            (
                json!({"style": "components"}),
                json!({"prefix": "homeassistant", "style": "components"}),
            ),
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
            (json!({"client_id": "a\nb"}), &["client_id"]),
            (json!({"username": "me\u{7f}"}), &["username"]),
            (json!({"topic": "a\tb"}), &["topic"]),
            (json!({"connect_timeout": 0}), &["connect_timeout"]),
            (json!({"problems": {"export_above": -1}}), &["problems.export_above"]),
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
