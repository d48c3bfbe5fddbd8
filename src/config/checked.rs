//! A layer between `serde_yaml` and the types of the configuration.
//!
//! It knows the path of what is being read, takes environment variables into strings, finds keys
//! that are there twice, and leaves out what was already found wrong. So the caller can ask again
//! after each fault until it has them all.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IgnoredAny, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};

use super::env::expand;
use super::made_up::MadeUp;
use super::place::{KeyName, Part, Step};
use super::reading::Reading;
use super::wrong::{MERGE_KEY, Wrong, in_yaml_terms};

/// Something of serde's, with the layer around it.
pub(super) struct Checked<'r, 'a, T> {
    pub(super) inner: T,
    pub(super) reading: &'r Reading<'a>,
}

impl<'r, 'a, T> Checked<'r, 'a, T> {
    fn around<U>(&self, inner: U) -> Checked<'r, 'a, U> {
        Checked { inner, reading: self.reading }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Checked<'_, '_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let reading = self.reading;
        let deserializer = self.around(deserializer);
        self.inner.deserialize(deserializer).map_err(|wrong| reading.raise(wrong))
    }
}

/// What to do where YAML has nothing, as after `devices:` with every key below it commented out.
struct OrNothing<'r, 'a, V> {
    visitor: Checked<'r, 'a, V>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Mapping,
    List,
    Text,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for OrNothing<'_, '_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.inner.expecting(f)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        let Checked { inner, reading } = self.visitor;
        let empty = std::iter::empty::<&str>();
        match self.kind {
            Kind::Mapping => inner.visit_map(MapDeserializer::new(empty.map(|key| (key, key)))),
            Kind::List => inner.visit_seq(SeqDeserializer::new(empty)),
            Kind::Text => inner.visit_unit(),
        }
        .map_err(|wrong| reading.raise(wrong))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        match self.kind {
            // Any plain scalar is text, such as a password of digits.
            Kind::Text => deserializer.deserialize_str(self.visitor),
            Kind::List => deserializer.deserialize_seq(self.visitor),
            // Not of any kind: serde's structs take lists too.
            Kind::Mapping => deserializer.deserialize_map(self.visitor),
        }
    }
}

impl<'r, 'a, 'de, D: Deserializer<'de>> Checked<'r, 'a, D> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.ask(visitor, D::deserialize_any)
    }

    fn of_kind<V: Visitor<'de>>(self, kind: Kind, visitor: V) -> Result<V::Value, Wrong> {
        self.ask(visitor, |inner, visitor| inner.deserialize_option(OrNothing { visitor, kind }))
    }

    fn ask<V: Visitor<'de>>(
        self,
        visitor: V,
        ask: impl FnOnce(D, Checked<'r, 'a, V>) -> Result<V::Value, D::Error>,
    ) -> Result<V::Value, Wrong> {
        let expected = in_yaml_terms(&(&visitor as &dyn Expected).to_string());
        let reading = self.reading;
        let visitor = self.around(visitor);
        ask(self.inner, visitor).map_err(|_| reading.take(&expected))
    }
}

macro_rules! any {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.any(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Checked<'_, '_, D> {
    type Error = Wrong;

    any! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_bytes
        deserialize_byte_buf deserialize_unit
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Text, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Text, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Text, visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Text, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::List, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::List, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::List, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Mapping, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Mapping, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.ask(visitor, D::deserialize_option)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.ask(visitor, D::deserialize_ignored_any)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.of_kind(Kind::Text, OneOf { words, visitor })
    }
}

/// One word of several: an enum without contents.
struct OneOf<V> {
    words: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for OneOf<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", self.words.join(", "))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<V::Value, E> {
        self.visitor.visit_enum(word.into_deserializer())
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty)*) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value).map_err(|wrong| self.reading.raise(wrong))
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Checked<'_, '_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    scalars! {
        visit_bool: bool visit_i64: i64 visit_i128: i128 visit_u64: u64 visit_u128: u128
        visit_f64: f64
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        expand(text, self.reading.environment)
            .map_err(Wrong::Value)
            .and_then(|text| self.inner.visit_str(&text))
            .map_err(|wrong| self.reading.raise(wrong))
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit().map_err(|wrong| self.reading.raise(wrong))
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none().map_err(|wrong| self.reading.raise(wrong))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.around(deserializer);
        self.inner.visit_some(deserializer).map_err(|wrong| self.reading.raise(wrong))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        let list = Entries::new(list, self.reading);
        self.inner.visit_seq(list).map_err(|wrong| self.reading.raise(wrong))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let map = Entries::new(map, self.reading);
        self.inner.visit_map(map).map_err(|wrong| self.reading.raise(wrong))
    }
}

/// The entries of a list or mapping.
struct Entries<'r, 'a, A> {
    inner: A,
    reading: &'r Reading<'a>,
    /// The keys of a mapping so far.
    names: Vec<String>,
    /// The index of a list's next entry.
    next: usize,
    /// The missing keys that were made up after the mapping's end.
    made_up: Vec<String>,
}

impl<'r, 'a, A> Entries<'r, 'a, A> {
    fn new(inner: A, reading: &'r Reading<'a>) -> Self {
        Self { inner, reading, names: Vec::new(), next: 0, made_up: Vec::new() }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Entries<'_, '_, A> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        let reading = self.reading;
        loop {
            reading.enter(Step::Index(self.next));
            self.next += 1;
            if !reading.is_skipped() {
                break;
            }
            reading.leave();
            let skipped = self.inner.next_element::<IgnoredAny>();
            if skipped.map_err(|_| reading.take("a value"))?.is_none() {
                return Ok(None);
            }
        }
        let seed = Checked { inner: seed, reading };
        let value = self.inner.next_element_seed(seed).map_err(|_| reading.take("a value"))?;
        reading.leave();
        Ok(value)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, '_, A> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        let reading = self.reading;
        loop {
            let name = self.inner.next_key_seed(KeyName::default());
            let Some(name) = name.map_err(|_| reading.take("a key"))? else {
                let Some(name) = reading.enter_supplied(&self.made_up) else { return Ok(None) };
                self.made_up.push(name.clone());
                return seed.deserialize(name.into_deserializer()).map(Some);
            };
            let nth = self.names.iter().filter(|earlier| **earlier == name).count();
            self.names.push(name.clone());
            reading.enter(Step::Key { name: name.clone(), nth });
            if !reading.is_skipped() {
                reading.part.set(Part::Key);
                if name == MERGE_KEY {
                    return Err(Wrong::MergeKey);
                }
                if nth > 0 {
                    return Err(Wrong::TwiceKey);
                }
                if !reading.is_hidden(&name) {
                    let key = seed.deserialize(name.into_deserializer())?;
                    reading.part.set(Part::Value);
                    return Ok(Some(key));
                }
                reading.part.set(Part::Value);
            }
            reading.leave();
            let skipped = self.inner.next_value::<IgnoredAny>();
            skipped.map_err(|_| reading.take("a value"))?;
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let reading = self.reading;
        let value = if self.made_up.is_empty() {
            let seed = Checked { inner: seed, reading };
            self.inner.next_value_seed(seed).map_err(|_| reading.take("a value"))?
        } else {
            seed.deserialize(MadeUp)?
        };
        reading.leave();
        Ok(value)
    }
}
