//! A decoded value and its text.

use std::fmt;

/// The words that an enumeration may say, by raw number.
pub type Options = &'static [&'static str];

/// One word of an enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    options: Options,
    index: usize,
}

impl Choice {
    /// The word for a raw number; `None` where the list has none for it.
    #[must_use]
    pub fn new(options: Options, index: usize) -> Option<Self> {
        (index < options.len()).then_some(Self { options, index })
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.options.get(self.index).copied().unwrap_or_default()
    }

    /// The place in the list, 0 the first.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index
    }
}

/// A decoded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A scaled number.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// A flag.
    Flag(bool),
    /// A word of an enumeration.
    Choice(Choice),
}

impl Value {
    /// The value as a number: a flag is 0 or 1, a word its place in its list.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "raw values have 32 bits at most")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Integer(value) => value as f64,
            Self::Flag(value) => f64::from(u8::from(value)),
            Self::Choice(choice) => choice.index as f64,
        }
    }

    /// The value as JSON and line protocol write it: a word in quotes, a number that is not finite as
    /// `null`, everything else as displayed.
    #[must_use]
    pub const fn quoted(self) -> QuotedValue {
        QuotedValue(self)
    }
}

/// The text of a value, the same in every output: integers as they are, scaled values in the
/// shortest form that reads back and always with a decimal (`50.01`, `5.0`), flags as JSON's
/// booleans, words as they are.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Display never writes an exponent, and writes a whole float without a decimal.
            Self::Float(value) if value.fract() == 0.0 => write!(f, "{value}.0"),
            Self::Float(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Flag(value) => f.write_str(if value { "true" } else { "false" }),
            Self::Choice(choice) => f.write_str(choice.word()),
        }
    }
}

/// A value as JSON writes it.
#[derive(Debug, Clone, Copy)]
pub struct QuotedValue(Value);

impl fmt::Display for QuotedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Words need no escaping: the tables hold them to plain characters.
            Value::Choice(choice) => write!(f, "\"{}\"", choice.word()),
            // JSON has no name for it; the division of a custom decoder may make one.
            Value::Float(value) if !value.is_finite() => f.write_str("null"),
            plain => plain.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_format_needs_it() {
        const MODES: Options = &["off", "eco+"];
        let value = Value::Choice(Choice::new(MODES, 1).unwrap());
        assert_eq!(value.to_string(), "eco+");
        assert_eq!(value.quoted().to_string(), "\"eco+\"");
        assert_eq!(Choice::new(MODES, 2), None);
    }

    #[test]
    fn only_words_have_quotes() {
        for value in [Value::Float(5.0), Value::Integer(-3), Value::Flag(true)] {
            assert_eq!(value.quoted().to_string(), value.to_string());
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_null() {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(Value::Float(value).quoted().to_string(), "null");
        }
    }
}
