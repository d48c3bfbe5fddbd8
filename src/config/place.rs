//! Places in a YAML document.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::{Path, Segment};

use super::wrong::Wrong;

/// One step down into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Index(usize),
    Key(String),
}

/// A place in a document: the steps down to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place(Vec<Step>);

impl Place {
    /// The place that a path such as `fields[2].divide` names below this one.
    pub(super) fn below(&self, path: &str) -> Self {
        let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
        let steps =
            parts.map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
                Some(index) => Step::Index(index),
                None => Step::Key(part.to_owned()),
            });
        Self(self.0.iter().cloned().chain(steps).collect())
    }

    /// The entry of that name in this place.
    pub(super) fn key(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([Step::Key(name.to_owned())]).collect())
    }

    /// The entry at that index in this place.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(self.0.iter().cloned().chain([Step::Index(index)]).collect())
    }

    /// The place that serde reached from this one.
    pub(super) fn join(&self, path: &Path) -> Self {
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        Self(self.0.iter().cloned().chain(steps).collect())
    }

    /// Returns whether this place is an entry of `section`.
    pub(super) fn is_in(&self, section: &Self) -> bool {
        self.0.split_last().is_some_and(|(_, parent)| parent == section.0)
    }

    /// The name of the entry that this place is, in a mapping.
    pub(super) fn name(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Key(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(name) if depth == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// Part of a place that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The key that leads to it.
    Key,
    /// Value at the place.
    Value,
}

/// The line and column of a place, counted from 1; of the nearest enclosing one where the text does
/// not have it.
///
/// `serde_yaml` gives positions only in errors, so the document is walked down to the place and an
/// error raised there.
pub(super) fn locate(text: &str, place: &Place, part: Part) -> Option<(usize, usize)> {
    let mut steps = &place.0[..];
    let mut part = part;
    loop {
        let document = serde_yaml::Deserializer::from_str(text);
        if let Err(error) = (Locate { steps, part }).deserialize(document) {
            return error.location().map(|location| (location.line(), location.column()));
        }
        (_, steps) = steps.split_last()?;
        part = Part::Value;
    }
}

/// Goes down the steps and raises an error there.
#[derive(Debug, Clone, Copy)]
struct Locate<'p> {
    steps: &'p [Step],
    part: Part,
}

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A scalar raises an error, on the way too: no place is nearer.
impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.steps.is_empty() {
            return Err(de::Error::custom("here"));
        }
        if let [Step::Index(index), steps @ ..] = self.steps {
            for _ in 0..*index {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Locate { steps, ..self })?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (name, steps) = match self.steps {
            [] => return Err(de::Error::custom("here")),
            [Step::Key(name), steps @ ..] => (Some(name.as_str()), steps),
            [Step::Index(_), ..] => (None, &[][..]),
        };
        let is_key = steps.is_empty() && self.part == Part::Key;
        let here = |key: &str| {
            if is_key && name == Some(key) { Err(Wrong::Value("here".to_owned())) } else { Ok(()) }
        };
        while let Some(key) = map.next_key_seed(KeyName(here))? {
            if name == Some(&key) {
                map.next_value_seed(Locate { steps, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The text of a key, whatever kind of scalar it is, unless there is something against it.
pub(super) struct KeyName<F>(pub(super) F);

impl<'de, F: Fn(&str) -> Result<(), Wrong>> DeserializeSeed<'de> for KeyName<F> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: Fn(&str) -> Result<(), Wrong>> Visitor<'_> for KeyName<F> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        (self.0)(text).map_err(E::custom)?;
        Ok(text.to_owned())
    }
}
