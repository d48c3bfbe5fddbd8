//! Decoders declared in the configuration, no compiler needed.
//!
//! They are the same trait behind the same table as the built-in ones, always experimental: their
//! keys carry the prefix of their length byte.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::entry::{ENTRIES, EntryHead, EntrySelector, STATUS_TYPE};
use crate::field::{Confidence, Field, Raw};
use crate::layout::{Layout, RecordTypes, Rules, SERIAL, Trust};
use crate::metric::{ANY, Class, Metric};
use crate::product::Product;
use crate::scalar;

/// A number that may be written as `"0x2C"` or as 44.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex<T>(pub T);

impl<T: fmt::UpperHex> fmt::Display for Hex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X}", self.0)
    }
}

impl<T: fmt::UpperHex> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = size_of::<T>() * 8;
        let expecting = format!("a number of {bits} bits such as \"0x2C\" or 44");
        scalar::read(deserializer, &expecting, Self::parse)
    }
}

impl<T: TryFrom<u64>> Hex<T> {
    /// Reads `0x2C` or `44`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        // A sign would pass for part of the number.
        let number = Some(digits).filter(|digits| !digits.starts_with('+'))?;
        T::try_from(u64::from_str_radix(number, radix).ok()?).ok().map(Self)
    }
}

/// One decoder as the configuration declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomDecoder {
    /// The packet-length byte that it reads.
    pub length: Hex<u8>,
    /// The name for people.
    pub name: String,
    /// The only record type that it reads; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_type: Option<Hex<u16>>,
    /// The offset of the device's serial number.
    #[serde(default = "default_serial")]
    pub serial: Hex<u8>,
    /// The fields, in the order of every output.
    pub fields: Vec<CustomField>,
}

const fn default_serial() -> Hex<u8> {
    Hex(SERIAL)
}

/// One field of a [`CustomDecoder`]: value = raw / `divide` + `add`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// The key, without the prefix of the length byte.
    pub key: String,
    /// The offset in the protocol's own count (the record's first byte stands at `0x18`); either
    /// this or `entry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Hex<u8>>,
    /// The first byte of the entry that it stands in, such as `"0x08"`, or `"0x?3"` for any kind of
    /// size 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<DeclaredHead>,
    /// The channel of that entry; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u8>,
    /// Place in that entry; 0 is the entry's first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Hex<u8>>,
    /// Type of the number; either this or `bit`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub raw: Option<NumberType>,
    /// The one bit that is a flag, 0 the least significant; either this or `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<u8>,
    /// Divisor of the raw number.
    #[serde(default = "one")]
    pub divide: f64,
    /// Number added after the division.
    #[serde(default)]
    pub add: f64,
    /// The unit, for people.
    #[serde(default)]
    pub unit: String,
    /// The least and greatest plausible value; any value is when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
}

const fn one() -> f64 {
    1.0
}

/// The first byte of an entry as the configuration writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredHead(pub EntryHead);

impl Serialize for DeclaredHead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeclaredHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting =
            "the first byte of an entry such as \"0x08\", or \"0x?3\" for any kind of size 3";
        scalar::read(deserializer, expecting, |text| {
            let head = match text.strip_prefix("0x?") {
                Some(size) if size.len() == 1 => {
                    EntryHead::Size(Hex::parse(&format!("0x{size}"))?.0)
                }
                Some(_) => return None,
                None => EntryHead::Exact(Hex::parse(text)?.0),
            };
            (head.size() > 0).then_some(DeclaredHead(head))
        })
    }
}

/// The number types that a custom field may have, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum NumberType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
}

impl From<NumberType> for Raw {
    fn from(number: NumberType) -> Self {
        match number {
            NumberType::U8 => Self::U8,
            NumberType::I8 => Self::I8,
            NumberType::U16 => Self::U16,
            NumberType::I16 => Self::I16,
            NumberType::U32 => Self::U32,
            NumberType::I32 => Self::I32,
        }
    }
}

/// Reason why a declared decoder cannot be used. The path names the place within its declaration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {problem}")]
pub struct CustomError {
    /// The key, such as `fields[2].divide`.
    pub path: String,
    /// Problem and remedy.
    pub problem: String,
}

impl CustomDecoder {
    /// The layout that it declares.
    ///
    /// # Errors
    /// Every [`CustomError`] in it.
    pub fn layout(&self) -> Result<Layout, Vec<CustomError>> {
        let Hex(length) = self.length;
        let mut errors = Vec::new();
        let mut wrong = |path: String, problem: String| errors.push(CustomError { path, problem });
        if usize::from(length) < crate::frame::RECORD_HEADER {
            wrong("length".into(), "a record has at least 6 bytes".into());
        }
        if self.fields.is_empty() {
            wrong("fields".into(), "a decoder needs at least one field".into());
        }
        if self.fields.len() > crate::reading::MAX_FIELDS {
            let most = crate::reading::MAX_FIELDS;
            wrong("fields".into(), format!("a decoder has at most {most} fields"));
        }
        if !Field::unknown("serial", "", self.serial.0, Raw::U32).fits(length) {
            wrong("serial".into(), past_end(self.serial.0, Raw::U32.size(), length));
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for (index, declared) in self.fields.iter().enumerate() {
            let at = |key: &str| format!("fields[{index}].{key}");
            let twin = self.fields[..index].iter().any(|other| other.key == declared.key);
            if twin {
                wrong(at("key"), format!("`{}` is given twice", declared.key));
            }
            let status = self.record_type.is_none_or(|Hex(wanted)| wanted == STATUS_TYPE);
            if declared.entry.is_some() && !status {
                let type_ = Hex(STATUS_TYPE);
                wrong(
                    at("entry"),
                    format!("only records of type {type_} are known to have entries"),
                );
            }
            match declared.field(length) {
                Ok(field) => fields.push(field),
                Err(problems) => {
                    for (key, problem) in problems {
                        wrong(at(key), problem);
                    }
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let entries = fields.iter().any(|field: &Field| field.entry.is_some());
        let status = entries.then_some(STATUS_TYPE);
        let types = self.record_type.map(|Hex(record_type)| record_type).or(status);
        Ok(Layout {
            length: Some(length),
            name: Cow::Owned(self.name.clone()),
            status: Trust::Declared,
            rules: Rules {
                requires_types: types.map_or(RecordTypes::NONE, RecordTypes::One),
                ..Rules::ANY
            },
            product: Product::Unknown,
            serial: self.serial.0,
            relay: None,
            entries: entries.then_some(ENTRIES),
            fields: Cow::Owned(fields),
        })
    }
}

impl CustomField {
    fn field(&self, length: u8) -> Result<Field, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        // Keys become JSON keys, MQTT topic levels and Home Assistant ids as they are.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.key.is_empty() || self.key.len() > 64 || !self.key.chars().all(plain) {
            problems.push(("key", "use 1 to 64 of a-z, A-Z, 0-9, `_` and `-`".to_owned()));
        }
        let raw = match (self.raw, self.bit) {
            (Some(number), None) => Raw::from(number),
            (None, Some(bit @ 0..=7)) => Raw::Bit(bit),
            (None, Some(_)) => {
                problems.push(("bit", "a byte has bits 0 to 7".to_owned()));
                Raw::Bit(0)
            }
            (None, None) => {
                problems
                    .push(("type", "give a `type` (u8, i8, u16, i16, u32, i32) or a `bit`".into()));
                Raw::U8
            }
            (Some(_), Some(_)) => {
                problems.push(("bit", "give a `type` or a `bit`, not both".to_owned()));
                Raw::U8
            }
        };
        if self.divide == 0.0 || !self.divide.is_finite() {
            problems.push(("divide", "divide by a number other than 0".to_owned()));
        }
        if !self.add.is_finite() || self.add.abs() > 1e15 {
            problems.push(("add", "add a number below 1e15".to_owned()));
        }
        if self.divide != 0.0 && !(f64::from(u32::MAX) / self.divide).is_finite() {
            problems.push(("divide", "so small a number makes values without end".to_owned()));
        }
        let range = self.range.map_or(ANY, |[least, greatest]| (least, greatest));
        if range.0.partial_cmp(&range.1).is_none_or(std::cmp::Ordering::is_gt) {
            problems.push(("range", "write the least value first".to_owned()));
        }
        let class = match (raw, self.unit.as_str()) {
            (Raw::Bit(_), _) => Class::Flag,
            (_, "W") => Class::Power,
            (_, "V") => Class::Voltage,
            (_, "A") => Class::Current,
            (_, "Hz") => Class::Frequency,
            (_, "°C") => Class::Temperature,
            _ => Class::Unknown,
        };
        let (offset, entry) = match (self.offset, self.entry, self.at) {
            (Some(Hex(offset)), None, None) if self.channel.is_none() => (offset, None),
            (None, Some(DeclaredHead(head)), Some(Hex(at))) => {
                if self.channel.is_some_and(|channel| channel > 0x0F) {
                    problems.push(("channel", "a channel is 0 to 15".to_owned()));
                }
                (at, Some(EntrySelector { head, channel: self.channel }))
            }
            (None, None, _) => {
                problems.push(("offset", "give an `offset`, or an `entry` and `at`".to_owned()));
                (SERIAL, None)
            }
            (None, Some(_), None) => {
                problems.push(("at", "say where in the entry: `at: 4`".to_owned()));
                (0, self.entry.map(|head| EntrySelector { head: head.0, channel: None }))
            }
            (Some(_), ..) => {
                let both = "give an `offset`, or an `entry` with `at` (and `channel`), not both";
                problems.push(("offset", both.to_owned()));
                (SERIAL, None)
            }
        };
        let field = Field {
            metric: Metric {
                key: Cow::Owned(format!("0x{length:02X}/{}", self.key)),
                label: Cow::Owned(self.key.clone()),
                unit: Cow::Owned(self.unit.clone()),
                class,
                range,
            },
            offset,
            entry,
            raw,
            divide: self.divide,
            add: self.add,
            confidence: Confidence::C,
        };
        if !field.fits(length) {
            problems.push(match entry {
                None => ("offset", past_end(offset, raw.size(), length)),
                Some(EntrySelector { head, .. }) => {
                    let (size, holds) = (raw.size(), head.size());
                    ("at", format!("{size} bytes at {offset} do not fit an entry of {holds} bytes"))
                }
            });
        }
        if problems.is_empty() { Ok(field) } else { Err(problems) }
    }
}

fn past_end(offset: u8, size: u8, length: u8) -> String {
    let (first, end) = (crate::frame::RECORDS, crate::frame::RECORDS + usize::from(length));
    format!(
        "{size} bytes at {} do not lie inside the record, which goes from {first:#04X} to {:#04X}",
        Hex(offset),
        end - 1,
    )
}
