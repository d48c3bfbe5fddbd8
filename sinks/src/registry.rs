//! The list of sink types: one line a sink.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::sink::SinkConfig;

/// Declares the types of sinks: for each its name in YAML, which is also its cargo feature, and
/// the struct that holds its own keys.
macro_rules! sinks {
    ($($variant:ident $name:literal => $config:ty,)+) => {
        /// Every type of sink that there is, whether or not this program was built with it.
        pub const TYPES: &[&str] = &[$($name),+];

        /// The types of sinks that this program was built with.
        pub const BUILT: &[&str] = &[$(#[cfg(feature = $name)] $name),+];

        /// Configuration of one sink of any type.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type")]
        #[allow(clippy::large_enum_variant, reason = "there are as many as sinks: a handful")]
        pub enum AnyConfig {
            $(
                #[cfg(feature = $name)]
                #[serde(rename = $name)]
                #[expect(missing_docs, reason = "the name of the sink says it")]
                $variant($config),
            )+
        }

        impl AnyConfig {
            /// The name of its type.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match *self {
                    $(#[cfg(feature = $name)] Self::$variant(_) => $name,)+
                }
            }

            /// The sink that this describes, shared with the task that runs the sink.
            #[must_use]
            pub fn shared(&self) -> Arc<dyn SinkConfig> {
                match *self {
                    $(#[cfg(feature = $name)] Self::$variant(ref config) => {
                        Arc::new(config.clone())
                    },)+
                }
            }

            /// Tells the sink that it describes what it is called.
            pub fn named(&mut self, name: &str) {
                match *self {
                    $(#[cfg(feature = $name)] Self::$variant(ref mut config) => {
                        SinkConfig::named(config, name);
                    },)+
                }
            }

            /// The sink that it describes.
            #[must_use]
            pub fn sink(&self) -> &dyn SinkConfig {
                match *self {
                    $(#[cfg(feature = $name)] Self::$variant(ref config) => config,)+
                }
            }
        }

        impl<'de> DeserializeSeed<'de> for KeysOf {
            type Value = AnyConfig;

            #[cfg_attr(
                not(any($(feature = $name),+)),
                expect(unused_variables, reason = "without sinks there is nothing to read")
            )]
            fn deserialize<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<AnyConfig, D::Error> {
                match self.0.name() {
                    $(
                        #[cfg(feature = $name)]
                        $name => <$config>::deserialize(deserializer).map(AnyConfig::$variant),
                    )+
                    other => Err(de::Error::custom(format_args!("no sink is called `{other}`"))),
                }
            }
        }
    };
}

sinks! {
    Stdout "stdout" => crate::stdout::StdoutConfig,
    Sqlite "sqlite" => crate::sqlite::SqliteConfig,
    Mqtt "mqtt" => crate::mqtt::MqttConfig,
    Influxdb "influxdb" => crate::influxdb::InfluxdbConfig,
    Nats "nats" => crate::nats::NatsConfig,
    Postgres "postgres" => crate::postgres::PostgresConfig,
    Web "web" => crate::web::WebConfig,
}

/// Reads the keys that a type of sink has of its own; `type` and `name` belong to all of them, and
/// the caller must have taken them out.
#[derive(Debug, Clone, Copy)]
pub struct KeysOf(pub SinkType);

/// The name of a type of sink that this program was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkType(&'static str);

impl SinkType {
    /// Types of sink that this program was built with.
    pub fn built() -> impl Iterator<Item = Self> {
        BUILT.iter().copied().map(Self)
    }

    /// The name in YAML.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl Serialize for SinkType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for SinkType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SinkTypeVisitor)
    }
}

struct SinkTypeVisitor;

impl Visitor<'_> for SinkTypeVisitor {
    type Value = SinkType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a type of sink: {}", BUILT.join(", "))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SinkType, E> {
        if let Some(name) = BUILT.iter().find(|name| **name == text) {
            return Ok(SinkType(name));
        }
        if TYPES.contains(&text) {
            return Err(E::custom(format_args!(
                "this program was built without `{text}`; build it with `--features {text}`"
            )));
        }
        Err(E::unknown_variant(text, BUILT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink_type(name: &str) -> Result<SinkType, String> {
        let name: de::value::StrDeserializer<'_, de::value::Error> =
            de::IntoDeserializer::into_deserializer(name);
        SinkType::deserialize(name).map_err(|error| error.to_string())
    }

    #[test]
    fn a_sink_that_does_not_exist_is_told_those_that_do() {
        let error = sink_type("sqlight").unwrap_err();
        assert!(BUILT.iter().all(|name| error.contains(name)), "{error}");
    }

    #[test]
    fn a_sink_left_out_of_the_build_says_how_to_get_it() {
        for name in TYPES {
            match sink_type(name) {
                Ok(found) => assert!(BUILT.contains(&found.name())),
                Err(error) => assert!(error.contains(&format!("--features {name}")), "{error}"),
            }
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_keys_of_a_sink_are_its_own() {
        let read = |json: &str| {
            let keys = KeysOf(sink_type("sqlite").unwrap());
            keys.deserialize(&mut serde_json::Deserializer::from_str(json))
        };
        let AnyConfig::Sqlite(config) = read(r#"{"flush_interval": 2}"#).unwrap() else {
            panic!("another sink")
        };
        assert_eq!(config.path, std::path::Path::new("energi.db"));
        assert_eq!(config.retention.samples.to_string(), "30d");
        assert_eq!(config.flush_interval.to_string(), "2s");
        assert!(read(r#"{"hots": 1}"#).unwrap_err().to_string().contains("unknown field `hots`"));
    }
}
