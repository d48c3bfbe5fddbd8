//! Speed of recorded or simulated time.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Speed of recorded or simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Speed {
    /// Speed that the sinks allow.
    #[default]
    Max,
    /// Seconds a second; more than 0.
    Times(f64),
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Max => serializer.serialize_str("max"),
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            Self::Times(times) if times.fract() == 0.0 && times < 1e15 => {
                serializer.serialize_i64(times as i64)
            }
            Self::Times(times) => serializer.serialize_f64(times),
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpeedVisitor)
    }
}

struct SpeedVisitor;

impl Visitor<'_> for SpeedVisitor {
    type Value = Speed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "`max`, 1 (as recorded) or another number above 0, such as 60 (a minute a second)",
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody minds the last digit of 2^53")]
    fn visit_u64<E: de::Error>(self, times: u64) -> Result<Speed, E> {
        self.visit_f64(times as f64)
    }

    fn visit_f64<E: de::Error>(self, times: f64) -> Result<Speed, E> {
        if times.is_finite() && times > 0.0 {
            Ok(Speed::Times(times))
        } else {
            Err(E::invalid_value(Unexpected::Float(times), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Speed, E> {
        match text.parse() {
            Ok(times) => self.visit_f64(times),
            Err(_) if text == "max" => Ok(Speed::Max),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}
