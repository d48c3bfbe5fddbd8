//! Messages to publish.

use energi_decoders::scalar;
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
        let expecting = "0 (at most once) or 1 (at least once)";
        scalar::read(deserializer, expecting, |level| match level {
            "0" => Some(Self::AtMostOnce),
            "1" => Some(Self::AtLeastOnce),
            _ => None,
        })
    }
}
