//! Switches of experimental decoders.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::custom::Hex;
use crate::layout::Trust;
use crate::packets;
use crate::scalar;

/// Switch of built-in experimental decoders: the start of their keys, a length byte or a name. Only
/// those that exist can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// The decoder of one length: `0x2B`.
    Length(u8),
    /// Decoders of several lengths, or of a device: `zappi`.
    Name(&'static str),
}

impl Switch {
    /// Every switch that there is, length bytes first.
    #[must_use]
    pub fn all() -> BTreeSet<Self> {
        packets::all()
            .filter(|layout| layout.status == Trust::Experimental)
            .map(|layout| match layout.length {
                Some(length) if layout.prefix() == Hex(length).to_string() => Self::Length(length),
                _ => Self::Name(layout.prefix()),
            })
            .collect()
    }

    /// Returns what the keys of its decoders begin with.
    #[must_use]
    pub fn prefix(self) -> String {
        match self {
            Self::Length(length) => Hex(length).to_string(),
            Self::Name(name) => name.to_owned(),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix())
    }
}

/// No experimental decoder is switched on by this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not an experimental decoder; there are {known}")]
pub struct SwitchError {
    given: String,
    known: String,
}

impl FromStr for Switch {
    type Err = SwitchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = Hex::parse(text).map(|Hex(length)| length);
        let wanted = |switch: &Self| match switch {
            Self::Length(own) => length == Some(*own),
            Self::Name(name) => *name == text,
        };
        let all = Self::all();
        all.iter().copied().find(wanted).ok_or_else(|| SwitchError {
            given: text.to_owned(),
            known: all.iter().map(Self::to_string).collect::<Vec<_>>().join(", "),
        })
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = scalar::read(deserializer, "a decoder", |text| Some(text.to_owned()))?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Switch;

    #[test]
    fn every_switch_reads_back_from_its_text() {
        for switch in Switch::all() {
            assert_eq!(switch.to_string().parse(), Ok(switch));
        }
        assert_eq!("39".parse(), Ok(Switch::Length(0x27)));
        let error = "0x2C".parse::<Switch>().unwrap_err().to_string();
        assert!(error.contains("0x2C") && error.contains("zappi"), "{error}");
    }
}
