//! The list of sink types: one line a sink.

use std::sync::Arc;

use serde::de::{self, DeserializeSeed, Deserializer};
use serde::{Deserialize, Serialize};

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
                match self.0 {
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

/// Reads the keys that a sink of this type has of its own; `type` and `name` belong to all of them,
/// and the caller must have taken them out.
#[derive(Debug, Clone, Copy)]
pub struct KeysOf(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_keys_of_a_sink_are_its_own() {
        let read = |json: &str| {
            let keys = KeysOf("sqlite");
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
