//! Which keys a struct has in YAML.

use std::cell::Cell;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

use super::wrong::Wrong;

/// The keys of the struct that a seed reads, as serde tells them to whoever is asked for one.
pub(super) fn keys<'de, S: DeserializeSeed<'de>>(seed: S) -> &'static [&'static str] {
    let keys = Cell::new(&[][..]);
    // It was only asked: there is nothing to read.
    let _nothing = seed.deserialize(Asked { keys: &keys });
    keys.get()
}

struct Asked<'c> {
    keys: &'c Cell<&'static [&'static str]>,
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Wrong;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.keys.set(keys);
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::custom("nothing"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
