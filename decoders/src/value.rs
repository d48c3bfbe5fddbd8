//! A decoded value and its text.

use std::fmt;

/// A decoded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A scaled number.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// A flag.
    Flag(bool),
}

impl Value {
    /// The value as a number; a flag is 0 or 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "raw values have 32 bits at most")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Integer(value) => value as f64,
            Self::Flag(value) => f64::from(u8::from(value)),
        }
    }
}

/// The text of a value, the same in every output: integers as they are, scaled values in the
/// shortest form that reads back and always with a decimal (`50.01`, `5.0`), flags as JSON's
/// booleans.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Display never writes an exponent, and writes a whole float without a decimal.
            Self::Float(value) if value.fract() == 0.0 => write!(f, "{value}.0"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Flag(value) => write!(f, "{value}"),
        }
    }
}
