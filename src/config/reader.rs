//! Reads types of serde from the tree: takes environment variables into text, and text for numbers
//! and flags where those are wanted.

use std::borrow::Cow;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};

use super::env::{Environment, expand};
use super::tree::{Node, Scalar};
use super::wrong::{Wrong, expected_keys};

/// A value of the tree, to be read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) node: &'a Node,
    pub(super) environment: Environment<'a>,
}

impl<'a> Reader<'a> {
    fn at(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// The text of a scalar, environment variables taken in.
    fn text(self, visitor: &dyn Expected) -> Result<Cow<'a, str>, Wrong> {
        match self.node {
            Node::Scalar(text, Scalar::Text) => {
                expand(text, self.environment).map_err(Wrong::Value)
            }
            Node::Scalar(text, kind) if *kind != Scalar::Null => Ok(Cow::Borrowed(text)),
            _ => Err(self.mismatch(visitor)),
        }
    }

    fn mismatch(self, expected: &dyn Expected) -> Wrong {
        Wrong::invalid_type(
            match self.node {
                Node::Scalar(_, Scalar::Null) => Unexpected::Unit,
                Node::Scalar(text, _) => Unexpected::Str(text),
                Node::List(_) => Unexpected::Seq,
                Node::Map(_) => Unexpected::Map,
            },
            expected,
        )
    }

    fn list<V: Visitor<'a>>(self, list: &'a [Node], visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(SeqDeserializer::new(list.iter().map(|node| self.at(node))))
    }

    fn map<V: Visitor<'a>>(
        self,
        entries: &'a [(String, Node)],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let entries = entries.iter().map(|(key, node)| (key.as_str(), self.at(node)));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    /// A number or a flag that may stand in quotes, or come from the environment.
    fn number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if !matches!(self.node, Node::Scalar(_, Scalar::Text)) {
            return self.deserialize_any(visitor);
        }
        let text = self.text(&visitor)?;
        let text = text.trim();
        if let Ok(flag) = text.parse::<bool>() {
            visitor.visit_bool(flag)
        } else if let Ok(number) = text.parse::<u64>() {
            visitor.visit_u64(number)
        } else if let Ok(number) = text.parse::<i64>() {
            visitor.visit_i64(number)
        } else if let Ok(number) = text.parse::<f64>() {
            visitor.visit_f64(number)
        } else {
            visitor.visit_str(text)
        }
    }
}

impl<'a> IntoDeserializer<'a, Wrong> for Reader<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! forward {
    ($to:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.$to(visitor)
        })*
    };
}

impl<'a> Deserializer<'a> for Reader<'a> {
    type Error = Wrong;

    forward! { number: deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 }

    forward! { deserialize_str: deserialize_char deserialize_string deserialize_identifier }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 bytes byte_buf unit unit_struct tuple_struct ignored_any
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Scalar(_, Scalar::Null) => visitor.visit_unit(),
            Node::Scalar(_, Scalar::Bool(flag)) => visitor.visit_bool(*flag),
            Node::Scalar(_, Scalar::Unsigned(number)) => visitor.visit_u64(*number),
            Node::Scalar(_, Scalar::Signed(number)) => visitor.visit_i64(*number),
            Node::Scalar(_, Scalar::Float(number)) => visitor.visit_f64(*number),
            Node::Scalar(text, Scalar::Text) => match self.text(&visitor)? {
                // A flag that was written as text is one only where a variable brought it.
                Cow::Owned(value) if value != *text && value.parse::<bool>().is_ok() => {
                    visitor.visit_bool(value == "true")
                }
                value => visitor.visit_str(&value),
            },
            Node::List(list) => self.list(list, visitor),
            Node::Map(entries) => self.map(entries, visitor),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let text = self.text(&visitor)?;
        visitor.visit_str(&text)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node {
            Node::List(list) => self.list(list, visitor),
            Node::Scalar(_, Scalar::Null) => self.list(&[], visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Map(entries) => self.map(entries, visitor),
            // Every key below it is commented out.
            Node::Scalar(_, Scalar::Null) => self.map(&[], visitor),
            _ => Err(self.mismatch(&"a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Map(_) | Node::Scalar(_, Scalar::Null) => self.deserialize_map(visitor),
            _ => Err(self.mismatch(&expected_keys(keys).as_str())),
        }
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let text = self.text(&format!("one of {}", words.join(", ")).as_str())?;
        visitor.visit_enum(IntoDeserializer::<Wrong>::into_deserializer(text.as_ref()))
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }
}
