//! The error type under which values are read: it keeps what serde knows, and says it in the terms
//! of somebody who edits YAML.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// The merge key of YAML 1.1: `<<: *name`.
pub(super) const MERGE_KEY: &str = "<<";

/// Kind of error at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// No such key; these are known.
    UnknownKey(String, &'static [&'static str]),
    /// A merge key, which would take the keys of another mapping.
    MergeKey,
    /// The key is there twice.
    TwiceKey,
    /// A key that must be there is not.
    MissingKey(&'static str),
    /// Anything else.
    Value(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(name, known) => f.write_str(&unknown_key(name, known.iter().copied())),
            Self::MergeKey => {
                f.write_str("merge keys are not read; write the keys here, or alias single values")
            }
            Self::TwiceKey => f.write_str("this key is there twice; keep one"),
            Self::MissingKey(key) => write!(f, "the key `{key}` is missing"),
            Self::Value(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_yaml_terms(&expected.to_string());
        Self::Value(format!("expected {expected}, found {}", Found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        let expected = in_yaml_terms(&expected.to_string());
        Self::Value(format!("expected {expected}, found {found}"))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey(name.to_owned(), known)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::Value(unknown_word(found, known))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::MissingKey(key)
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::TwiceKey
    }
}

/// The known word that is most like `word`, where one is so alike that it may be meant.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|known| (likeness(word, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Less alike than this, a suggestion would only be the best of a bad lot.
const ALIKE: f64 = 0.6;

fn likeness(word: &str, known: &str) -> f64 {
    let word = word.to_lowercase();
    if word.len() >= 3 && (known.starts_with(&word) || word.starts_with(known)) {
        return ALIKE.max(strsim::normalized_damerau_levenshtein(&word, known));
    }
    strsim::normalized_damerau_levenshtein(&word, known)
}

/// Returns what to say of an unknown key.
pub(super) fn unknown_key<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(nearest) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
        None => format!("unknown key `{name}`; the keys here are {}", list(known)),
    }
}

/// Returns what to say of an unknown word.
pub(super) fn unknown_word(found: &str, known: &[&str]) -> String {
    match nearest(found, known.iter().copied()) {
        Some(nearest) => format!("`{found}` is unknown; did you mean `{nearest}`?"),
        None => format!("`{found}` is not one of {}", list(known.iter().copied())),
    }
}

/// Words as a list in a sentence.
pub(super) fn list<'k>(words: impl Iterator<Item = &'k str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Returns what is expected where a mapping of these keys belongs.
pub(super) fn expected_keys(keys: &'static [&'static str]) -> String {
    match keys {
        [] => "a mapping (`key: value`)".to_owned(),
        [only] => format!("a mapping: `{{{only}: ...}}`"),
        [first, ..] => {
            format!(
                "a mapping such as `{{{first}: ...}}` of the keys {}",
                list(keys.iter().copied())
            )
        }
    }
}

/// Returns what serde calls expected, as YAML calls it.
pub(super) fn in_yaml_terms(expected: &str) -> String {
    let in_yaml = match expected {
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a string" | "path string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping (`key: value`)",
        "an array of length 2" => "a list of 2 values",
        _ if expected.starts_with("struct ") => "a mapping (`key: value`)",
        _ => expected,
    };
    in_yaml.to_owned()
}

/// Value that was found, as YAML calls it.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "`{value}`"),
            Unexpected::Unsigned(value) => write!(f, "`{value}`"),
            Unexpected::Signed(value) => write!(f, "`{value}`"),
            Unexpected::Float(value) => write!(f, "`{value}`"),
            Unexpected::Str(text) => write!(f, "`{text}`"),
            Unexpected::Unit | Unexpected::Option => f.write_str("nothing"),
            Unexpected::Seq => f.write_str("a list"),
            Unexpected::Map => f.write_str("a mapping"),
            Unexpected::Enum => f.write_str("a YAML tag"),
            other => other.fmt(f),
        }
    }
}
