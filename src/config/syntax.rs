//! What must hold of a text before its meaning is asked: it is one YAML document, a mapping, of
//! bounded size.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Fault;
use super::place::{KeyName, Raise};

/// More values than any household's configuration has. Aliases can make a short text stand for
/// very many.
const MOST_VALUES: u32 = 100_000;

const TOO_LARGE: &str = "too many values; do aliases (`*name`) repeat each other?";

/// Reads the whole text, whatever it means.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    if let Ok(None) = serde_yaml::from_str::<Option<IgnoredAny>>(text) {
        return Err(Fault::new("the file is empty; config.example.yaml shows what belongs in it"));
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else {
        return Err(Fault::new("not YAML"));
    };
    let left = Cell::new(MOST_VALUES);
    Walk { left: &left }.deserialize(document).map_err(|error| explain(text, &error))?;
    documents.next().map_or(Ok(()), |another| Err(refuse(text, another)))
}

fn refuse(text: &str, another: serde_yaml::Deserializer<'_>) -> Fault {
    let message = "another YAML document begins here; keep one";
    let error = Raise.deserialize(another).err();
    let Some(content) = error.and_then(|error| error.location()) else {
        return Fault::new(message);
    };
    // It begins with a `---`, unless the one before it is ended by `...`.
    let lines: Vec<&str> = text.lines().take(content.line()).collect();
    let border = lines.iter().rposition(|line| line.starts_with("---") || line.starts_with("..."));
    match border.and_then(|border| Some((border, lines.get(border)?))) {
        Some((border, line)) if line.starts_with("---") => Fault::at(border + 1, 1, message),
        _ => Fault::at(content.line(), content.column(), message),
    }
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

/// What a message of `serde_yaml` says before it goes on to where.
fn plain(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some((_, expected)) = message.split_once(", expected ") {
        return format!("expected {expected}");
    }
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

#[derive(Debug, Clone, Copy)]
struct Walk<'c> {
    left: &'c Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| de::Error::custom(TOO_LARGE))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a YAML tag (`!name`)")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(KeyName::default())?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}
