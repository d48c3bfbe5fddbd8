//! Messages to publish.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Topic to publish to.
    pub topic: String,
    /// Content. An empty one with [`retain`](Self::retain) removes a retained message.
    pub payload: String,
    /// Quality of service.
    pub qos: QoS,
    /// Records whether the broker keeps it for those who subscribe later.
    pub retain: bool,
}

impl Message {
    /// A message for those who come later as well: retained, and acknowledged by the broker.
    #[must_use]
    pub fn lasting(topic: String, payload: impl Into<String>) -> Self {
        Self { topic, payload: payload.into(), qos: QoS::AtLeastOnce, retain: true }
    }
}

/// Quality of service of a message.
///
/// Not its level 2: who has to hear each message once asks for a session that outlives the
/// connection, which this sink does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QoS {
    /// Level 0: what is under way when a connection breaks is lost.
    #[default]
    AtMostOnce,
    /// Level 1: sent again until the broker has acknowledged it.
    AtLeastOnce,
}

impl From<QoS> for rumqttc::QoS {
    fn from(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

impl Serialize for QoS {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
        })
    }
}

impl<'de> Deserialize<'de> for QoS {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QosVisitor)
    }
}

struct QosVisitor;

impl Visitor<'_> for QosVisitor {
    type Value = QoS;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0 (at most once) or 1 (at least once)")
    }

    fn visit_u64<E: de::Error>(self, level: u64) -> Result<QoS, E> {
        match level {
            0 => Ok(QoS::AtMostOnce),
            1 => Ok(QoS::AtLeastOnce),
            other => Err(E::invalid_value(Unexpected::Unsigned(other), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, level: &str) -> Result<QoS, E> {
        match level.parse() {
            Ok(level) => self.visit_u64(level),
            Err(_) => Err(E::invalid_value(Unexpected::Str(level), &self)),
        }
    }
}
