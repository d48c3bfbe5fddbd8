//! Places in a YAML document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step down into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a list.
    Index(usize),
    /// Into a mapping: the `nth` entry of this name, counted from 0.
    Key { name: String, nth: usize },
}

/// A place in a document: the steps down to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place(pub(super) Vec<Step>);

impl Place {
    /// The place that a path such as `fields[2].divide` names below this one.
    pub(super) fn below(&self, path: &str) -> Self {
        let mut steps = self.0.clone();
        for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
            steps.push(match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
                Some(index) => Step::Index(index),
                None => Step::Key { name: part.to_owned(), nth: 0 },
            });
        }
        Self(steps)
    }

    /// The entry of that name in this place.
    pub(super) fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key { name: name.to_owned(), nth: 0 });
        Self(steps)
    }

    /// The entry at that index in this place.
    pub(super) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// The mapping or list that this place is an entry of; the document is its own.
    pub(super) fn parent(&self) -> Self {
        let steps = self.0.split_last().map_or(&[][..], |(_, steps)| steps);
        Self(steps.to_vec())
    }

    /// Whether this place is `other` or lies within it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key { name, .. } if depth == 0 => f.write_str(name)?,
                Step::Key { name, .. } => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// What of a place is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The key that leads to it.
    Key,
    /// What stands there.
    Value,
}

/// The line and column of a place, counted from 1.
///
/// `serde_yaml` tells positions only in errors, so the document is walked down to the place and an
/// error raised there.
pub(super) fn locate(text: &str, place: &Place, part: Part) -> Option<(usize, usize)> {
    let document = serde_yaml::Deserializer::from_str(text);
    let error = Descend { steps: &place.0, part, seed: Raise }.deserialize(document).err()?;
    error.location().map(|location| (location.line(), location.column()))
}

/// Goes down the steps and hands what stands there to a seed.
pub(super) struct Descend<'p, S> {
    pub(super) steps: &'p [Step],
    /// With [`Part::Key`] the last key raises an error instead.
    pub(super) part: Part,
    pub(super) seed: S,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Descend<'_, S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.steps {
            [] => self.seed.deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Descend<'_, S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let [Step::Index(index), steps @ ..] = self.steps else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        for _ in 0..*index {
            list.next_element::<IgnoredAny>()?;
        }
        let found = list.next_element_seed(Descend { steps, ..self })?.flatten();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut down = match self.steps {
            [Step::Key { name, nth }, steps @ ..] => Some((name, *nth, Descend { steps, ..self })),
            _ => None,
        };
        let mut found = None;
        while let Some(key) = map.next_key_seed(KeyName { raise_at: raised(down.as_ref()) })? {
            match down.take() {
                Some((name, 0, rest)) if *name == key => found = map.next_value_seed(rest)?,
                Some((name, nth, rest)) => {
                    down = Some((name, if *name == key { nth - 1 } else { nth }, rest));
                    map.next_value::<IgnoredAny>()?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The key at which an error is wanted.
fn raised<'n, S>(down: Option<&(&'n String, usize, Descend<'_, S>)>) -> Option<&'n str> {
    match down {
        Some((name, 0, Descend { steps: [], part: Part::Key, .. })) => Some(name),
        _ => None,
    }
}

/// The text of a key, whatever kind of scalar it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyName<'n> {
    raise_at: Option<&'n str>,
}

impl<'de> DeserializeSeed<'de> for KeyName<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyName<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        if self.raise_at == Some(text) {
            return Err(E::custom("here"));
        }
        Ok(text.to_owned())
    }
}

/// Takes no value at all: an error, whatever stands there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raise;

impl<'de> DeserializeSeed<'de> for Raise {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Raise {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
