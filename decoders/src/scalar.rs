//! Values that a configuration writes as one word or number.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};

/// Reads a value from the text of a word, a number or a flag: a format that knows types takes `10`
/// for a number and `"10"` for text. `expecting` names what is right where `parse` returns nothing.
///
/// # Errors
/// A value that `parse` refuses, and anything that is no word, number or flag.
pub fn read<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    expecting: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor { expecting, parse })
}

struct ScalarVisitor<'e, P> {
    expecting: &'e str,
    parse: P,
}

impl<T, P: Fn(&str) -> Option<T>> ScalarVisitor<'_, P> {
    fn read<E: de::Error>(&self, text: &str, found: Unexpected<'_>) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(found, &self.expecting))
    }
}

impl<T, P: Fn(&str) -> Option<T>> Visitor<'_> for ScalarVisitor<'_, P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<T, E> {
        self.read(if flag { "true" } else { "false" }, Unexpected::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.read(&number.to_string(), Unexpected::Signed(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.read(&number.to_string(), Unexpected::Unsigned(number))
    }

    /// With its point, since `1.0` is no whole number.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.read(&format!("{number:?}"), Unexpected::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.read(text, Unexpected::Str(text))
    }
}
