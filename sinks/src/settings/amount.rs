//! Durations and sizes: whole numbers with a unit.

use std::fmt;
use std::time::Duration;

use energi_decoders::scalar;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: a whole number of seconds, or with a unit as in `500ms`, `10s`, `5m`, `2h`, `30d`.
///
/// It is written back in the largest unit that holds it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(Duration);

/// Milliseconds in each unit, the largest first.
const PERIOD_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A century: sums with timestamps stay far from where they overflow.
const LONGEST_DAYS: u64 = 36_500;

impl Period {
    /// Makes a period of so many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Makes a period of so many days of 24 hours.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * 86_400)
    }

    /// The duration itself.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Returns whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let unit = if unit.is_empty() { "s" } else { unit };
        let (_, factor) = PERIOD_UNITS.iter().find(|(name, _)| *name == unit)?;
        let period = Self(Duration::from_millis(number.checked_mul(*factor)?));
        (period <= Self::from_days(LONGEST_DAYS)).then_some(period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        let whole = PERIOD_UNITS.iter().find(|(_, factor)| millis.is_multiple_of((*factor).into()));
        let (unit, factor) = whole.copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", millis / u128::from(factor))
    }
}

/// An amount of data: a whole number of bytes, or with a unit as in `64KiB`, `256MiB`, `2GiB`.
///
/// It is written back in the largest unit that holds it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(u64);

/// Bytes in each unit, the largest first.
const SIZE_UNITS: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Size {
    /// Makes a size of so many units of 1024 × 1024 bytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        if unit.is_empty() {
            return Some(Self(number));
        }
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZE_UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The number and the unit of a text such as `10s` or `10 s`.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a duration such as 500ms, 10s, 5m, 2h or 30d (36500d at most)";
        scalar::read(deserializer, expecting, Self::parse)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a size in bytes or such as 64KiB, 256MiB or 2GiB";
        scalar::read(deserializer, expecting, Self::parse)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(json: &str) -> Option<Period> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn durations_are_seconds_or_carry_a_unit() {
        let read = |json| period(json).map(Period::duration);
        assert_eq!(read("10"), Some(Duration::from_secs(10)));
        assert_eq!(read("\"10\""), Some(Duration::from_secs(10)));
        assert_eq!(read("\"10s\""), Some(Duration::from_secs(10)));
        assert_eq!(read("\"500ms\""), Some(Duration::from_millis(500)));
        assert_eq!(read("\"5m\""), Some(Duration::from_mins(5)));
        assert_eq!(read("\"2 h\""), Some(Duration::from_hours(2)));
        assert_eq!(read("\"30d\""), Some(Duration::from_hours(720)));
        for wrong in ["-1", "1.5", "\"\"", "\"s\"", "\"10x\"", "\"1h30m\"", "\"36501d\"", "[]"] {
            assert_eq!(period(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_duration_is_told_what_one_looks_like() {
        let error = serde_json::from_str::<Period>("\"soon\"").unwrap_err().to_string();
        assert!(error.contains("duration") && error.contains("10s"), "{error}");
    }

    #[test]
    fn sizes_are_bytes_or_carry_a_unit() {
        let read = |json| serde_json::from_str::<Size>(json).ok().map(Size::bytes);
        assert_eq!(read("10"), Some(10));
        assert_eq!(read("\"64KiB\""), Some(65_536));
        assert_eq!(read("\"256MiB\""), Some(268_435_456));
        assert_eq!(read("\"2 GiB\""), Some(2_147_483_648));
        for wrong in ["-1", "\"2MB\"", "\"99999999999GiB\"", "\"\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_as_it_was_written(millis in 0_u64..3_153_600_000_000) {
            let given = Period(Duration::from_millis(millis));
            prop_assert_eq!(Period::parse(&given.to_string()), Some(given));
        }

        #[test]
        fn a_size_reads_back_as_it_was_written(bytes: u64) {
            prop_assert_eq!(Size::parse(&Size(bytes).to_string()), Some(Size(bytes)));
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = (Period::parse(&text), Size::parse(&text));
        }
    }
}
