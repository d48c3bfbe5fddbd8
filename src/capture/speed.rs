//! Speed of recorded or simulated time.

use energi_decoders::scalar;
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
        let expecting =
            "`max`, 1 (as recorded) or another number above 0, such as 60 (a minute a second)";
        scalar::read(deserializer, expecting, |text| match text.parse() {
            Ok(times) => (f64::is_finite(times) && times > 0.0).then_some(Self::Times(times)),
            Err(_) => (text == "max").then_some(Self::Max),
        })
    }
}
