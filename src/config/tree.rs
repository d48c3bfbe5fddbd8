//! A YAML document as a tree that keeps the text of every scalar, so that `007` can be a password.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Fault;
use super::place::{KeyName, reached};
use super::wrong::{MERGE_KEY, Wrong};

/// More values than any household's configuration has. Aliases can make a short text stand for
/// very many.
const MOST_VALUES: u32 = 100_000;

const TOO_LARGE: &str = "too many values; do aliases (`*name`) repeat each other?";

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A scalar: its text as it is written, without quotes, and what YAML takes it for.
    Scalar(String, Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<(String, Node)>),
}

/// Type that YAML gives a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

impl Node {
    /// Returns what stands under a key, unless that is nothing.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let found = entries.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Returns whether nothing stands here, as after `devices:` with every key below commented out.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(_, Scalar::Null))
    }

    /// The mapping without some of its keys.
    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let Self::Map(entries) = self else { return self.clone() };
        let kept = entries.iter().filter(|(name, _)| !keys.contains(&name.as_str()));
        Self::Map(kept.cloned().collect())
    }
}

/// Reads the whole text, whatever it means: one document of bounded size, no key twice.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    if let Ok(None) = serde_yaml::from_str::<Option<IgnoredAny>>(text) {
        return Err(Fault::new("the file is empty; config.example.yaml shows a configuration"));
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else {
        return Err(Fault::new("not YAML"));
    };
    let left = Cell::new(MOST_VALUES);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(document, &mut track);
    let mut tree = match (Shape { left: &left }).deserialize(tracked) {
        Ok(tree) => tree,
        Err(error) => {
            let fault = explain(text, &error);
            // Errors of the syntax have a place, but are about no key.
            let is_about_key = fault.message.starts_with("expected a value")
                || [Wrong::MergeKey, Wrong::TwiceKey]
                    .iter()
                    .any(|it| it.to_string() == fault.message);
            let path = reached("", &track.path());
            return Err(if is_about_key { Fault { path, ..fault } } else { fault });
        }
    };
    if documents.next().is_some() {
        // It begins with a `---`, or after the `...` that ends the one before it.
        let border = |line: &str| line.starts_with("---") || line.starts_with("...");
        let line = text.lines().collect::<Vec<_>>().iter().rposition(|line| border(line));
        let message = "another YAML document begins here; keep one";
        return Err(Fault::at(line.map_or(1, |line| line + 1), 1, message));
    }
    let document = serde_yaml::Deserializer::from_str(text);
    Texts(&mut tree).deserialize(document).map_err(|error| explain(text, &error))?;
    Ok(tree)
}

fn explain(text: &str, error: &serde_yaml::Error) -> Fault {
    let Some(location) = error.location() else {
        return Fault::new(plain(&error.to_string()));
    };
    let (line, column) = (location.line(), location.column());
    if let Some(tab) = indenting_tab(text, line) {
        return Fault::at(line, tab, "a tab indents this line; YAML takes spaces only");
    }
    Fault::at(line, column, plain(&error.to_string()))
}

/// The column of a tab among the white space that line `number` begins with.
fn indenting_tab(text: &str, number: usize) -> Option<usize> {
    let line = text.lines().nth(number.checked_sub(1)?)?;
    let indent = line.find(|c: char| !c.is_whitespace()).unwrap_or(line.len());
    line.get(..indent)?.chars().position(|c| c == '\t').map(|before| before + 1)
}

/// Returns what a message of `serde_yaml` says before it names the place.
fn plain(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some((_, expected)) = message.split_once(", expected ") {
        return format!("expected {expected}");
    }
    // Before the message there may be a path.
    let message = match message.split_once(": ") {
        Some((path, message)) if !path.contains(' ') => message,
        _ => message,
    };
    let message = match message {
        "" => "not YAML",
        _ if message.contains("repetition limit") => TOO_LARGE,
        _ if message.contains("recursion limit") => "nested too deeply",
        _ if message.contains("block sequence entries") => {
            "no list can begin here; text that is only `-` needs quotes: `\"-\"`"
        }
        _ if message.contains("unknown anchor") => "this alias (`*name`) has no anchor (`&name`)",
        _ => message,
    };
    message.to_owned()
}

/// Reads a value of any kind.
#[derive(Debug, Clone, Copy)]
struct Shape<'c> {
    left: &'c Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| de::Error::custom(TOO_LARGE))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a YAML tag (`!name`)")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Signed(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Unsigned(value)))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Text))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Text))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Float(value)))
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Text))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new(), Scalar::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element_seed(self)? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        let mut taken = HashSet::new();
        while let Some(key) = access.next_key_seed(NewKey(&taken))? {
            taken.insert(key.clone());
            entries.push((key, access.next_value_seed(self)?));
        }
        Ok(Node::Map(entries))
    }
}

/// Reads a key that is not there yet.
struct NewKey<'t>(&'t HashSet<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        KeyName(|key: &str| match key {
            MERGE_KEY => Err(Wrong::MergeKey),
            _ if self.0.contains(key) => Err(Wrong::TwiceKey),
            _ => Ok(()),
        })
        .deserialize(deserializer)
    }
}

/// Fills in the text of every scalar of a tree, on a second walk through the document.
struct Texts<'t>(&'t mut Node);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Node::Scalar(..) => deserializer.deserialize_str(self),
            Node::List(_) | Node::Map(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same document again")
    }

    fn visit_str<E>(self, found: &str) -> Result<(), E> {
        if let Node::Scalar(text, _) = self.0 {
            found.clone_into(text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        if let Node::List(list) = self.0 {
            for node in list {
                access.next_element_seed(Texts(node))?;
            }
        }
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        if let Node::Map(entries) = self.0 {
            for (_, node) in entries {
                access.next_key::<IgnoredAny>()?;
                access.next_value_seed(Texts(node))?;
            }
        }
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
