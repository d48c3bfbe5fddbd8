//! Places in a YAML document, named by a path such as `sinks[1].path`.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::{Path, Segment};

use super::wrong::Wrong;

/// The path of `key` below `place`; an empty key is the place itself.
pub(super) fn below(place: &str, key: &str) -> String {
    let dot = if place.is_empty() || key.is_empty() || key.starts_with('[') { "" } else { "." };
    format!("{place}{dot}{key}")
}

/// The path that serde reached from `place`.
pub(super) fn reached(place: &str, path: &Path) -> String {
    path.iter().fold(place.to_owned(), |place, segment| match segment {
        Segment::Seq { index } => below(&place, &format!("[{index}]")),
        Segment::Map { key } => below(&place, key),
        Segment::Enum { .. } | Segment::Unknown => place,
    })
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
pub(super) fn locate(text: &str, place: &str, part: Part) -> Option<(usize, usize)> {
    let (mut place, mut part) = (place, part);
    loop {
        let document = serde_yaml::Deserializer::from_str(text);
        let walk = Locate { place, here: String::new(), part };
        if let Err(error) = walk.deserialize(document) {
            return error.location().map(|location| (location.line(), location.column()));
        }
        place = place.get(..place.rfind(['.', '[']).unwrap_or(0)).filter(|_| !place.is_empty())?;
        part = Part::Value;
    }
}

/// Goes down to a place and raises an error there.
#[derive(Debug, Clone)]
struct Locate<'p> {
    place: &'p str,
    /// The way so far.
    here: String,
    part: Part,
}

impl Locate<'_> {
    /// Goes on to an entry, if it is the place or on the way there.
    fn step(&self, key: &str) -> Option<Self> {
        let here = below(&self.here, key);
        let rest = self.place.strip_prefix(&here)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| Self { here, ..self.clone() })
    }

    fn arrives<E: de::Error>(&self) -> Result<(), E> {
        if self.here == self.place { Err(E::custom("here")) } else { Ok(()) }
    }
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
        self.arrives()?;
        for index in 0.. {
            let entry = match self.step(&format!("[{index}]")) {
                Some(way) => list.next_element_seed(way)?,
                None => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if entry.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.arrives()?;
        let arrives = |key: &str| match self.step(key) {
            Some(way) if way.part == Part::Key => way.arrives(),
            _ => Ok(()),
        };
        while let Some(key) = map.next_key_seed(KeyName(arrives))? {
            match self.step(&key) {
                Some(way) => map.next_value_seed(way)?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
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
