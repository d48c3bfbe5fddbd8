//! Field tables: where in a record a metric stands, and how its bytes are read.

use std::borrow::Cow;

use crate::entry::{EntryHead, EntrySelector};
use crate::frame::{RECORDS, Record};
use crate::metric::{ANY, Class, Metric};
use crate::value::{Choice, Value};

/// Confidence in a fact of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Published by `mqtt-energi`'s code, and an independent observation agrees or none
    /// contradicts it.
    A,
    /// Documented or observed once, unconfirmed.
    B,
    /// A guess worth researching.
    C,
}

impl Confidence {
    /// The letter.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
        }
    }

    /// Returns what the letter stands for, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::A => "confirmed",
            Self::B => "unconfirmed",
            Self::C => "a guess",
        }
    }
}

/// Encoding of a field. Integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// Unsigned, one byte.
    U8,
    /// Signed, one byte.
    I8,
    /// Unsigned, two bytes.
    U16,
    /// Signed, two bytes.
    I16,
    /// Unsigned, four bytes.
    U32,
    /// Signed, four bytes.
    I32,
    /// One bit of one byte, `0` the least significant.
    Bit(u8),
    /// Several bits of one byte, a number: how many, from which on.
    Bits {
        /// The least significant of them.
        first: u8,
        /// Number of them.
        count: u8,
    },
}

impl Raw {
    /// Bytes that the field takes.
    #[must_use]
    pub const fn size(self) -> u8 {
        match self {
            Self::U8 | Self::I8 | Self::Bit(_) | Self::Bits { .. } => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 => 4,
        }
    }

    /// The name that a custom decoder and the documents use: `u16`, `bit 7`, `bits 0-2`.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::U8 => "u8".into(),
            Self::I8 => "i8".into(),
            Self::U16 => "u16".into(),
            Self::I16 => "i16".into(),
            Self::U32 => "u32".into(),
            Self::I32 => "i32".into(),
            Self::Bit(bit) => format!("bit {bit}").into(),
            Self::Bits { first, count } => format!("bits {first}-{}", first + count - 1).into(),
        }
    }
}

/// One row of a field table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Meaning of the value.
    pub metric: Metric,
    /// The protocol offset (the record's first byte stands at `0x18`); in an entry, counted from
    /// the entry's first byte.
    pub offset: u8,
    /// The entry that it stands in; `None` for a place that is the same in every record.
    pub entry: Option<EntrySelector>,
    /// Encoding of the bytes.
    pub raw: Raw,
    /// The value is raw / `divide` + `add`.
    pub divide: f64,
    /// See [`Field::divide`].
    pub add: f64,
    /// Confidence in this row.
    pub confidence: Confidence,
}

impl Field {
    /// A confirmed metric whose raw number is the value.
    #[must_use]
    pub const fn new(metric: &Metric, offset: u8, raw: Raw, confidence: Confidence) -> Self {
        Self::of(metric.under(metric.static_key()), offset, raw, confidence)
    }

    /// A metric that is published under a key of its own, since its bytes are not confirmed.
    #[must_use]
    pub const fn unconfirmed(
        key: &'static str,
        metric: &Metric,
        offset: u8,
        raw: Raw,
        confidence: Confidence,
    ) -> Self {
        Self::of(metric.under(key), offset, raw, confidence)
    }

    /// A number that nobody has explained yet: no unit, and any value is plausible.
    #[must_use]
    pub const fn unknown(key: &'static str, label: &'static str, offset: u8, raw: Raw) -> Self {
        Self::of(Metric::new(key, label, "", Class::Unknown, ANY), offset, raw, Confidence::C)
    }

    const fn of(metric: Metric, offset: u8, raw: Raw, confidence: Confidence) -> Self {
        Self { metric, offset, entry: None, raw, divide: 1.0, add: 0.0, confidence }
    }

    /// The same field in an entry, its offset counted from there.
    #[must_use]
    pub const fn in_entry(mut self, head: EntryHead, channel: Option<u8>) -> Self {
        self.entry = Some(EntrySelector { head, channel });
        self
    }

    /// The same field with its raw number divided.
    #[must_use]
    pub const fn per(mut self, divide: f64) -> Self {
        self.divide = divide;
        self
    }

    /// The key in every output.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.metric.key
    }

    /// Returns whether values are whole numbers: neither scaled nor shifted by a fraction.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "1 means: as configured, not scaled")]
    pub fn is_integer(&self) -> bool {
        self.divide == 1.0 && self.add.fract() == 0.0
    }

    /// Returns how the value comes from the raw number: `/ 100`, `/ 2 - 0.5`; empty where it is the
    /// raw number itself.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "1 and 0 mean: as configured, not scaled")]
    pub fn scale(&self) -> String {
        let Self { divide, add, .. } = *self;
        let sign = if add < 0.0 { '-' } else { '+' };
        match (divide == 1.0, add == 0.0) {
            _ if !self.metric.class.is_number() => String::new(),
            (true, true) => String::new(),
            (false, true) => format!("/ {divide}"),
            (true, false) => format!("{sign} {}", add.abs()),
            (false, false) => format!("/ {divide} {sign} {}", add.abs()),
        }
    }

    /// Returns whether the field lies wholly inside the body and header of a record of `length`
    /// bytes, or inside its entry.
    #[must_use]
    pub const fn fits(&self, length: u8) -> bool {
        let (start, size) = (self.offset as usize, self.raw.size() as usize);
        match self.entry {
            Some(entry) => start + size <= entry.head.size() as usize,
            None => start >= RECORDS && start + size <= RECORDS + length as usize,
        }
    }

    /// Returns whether its words are as many as its bits can say, and plain enough for every
    /// output.
    #[must_use]
    pub(crate) const fn has_all_words(&self) -> bool {
        let Class::Choice(options) = self.metric.class else { return true };
        let count = match self.raw {
            Raw::Bit(_) => 2,
            Raw::Bits { count, .. } => 1 << count,
            _ => return false,
        };
        let mut index = 0;
        while index < options.len() {
            let (word, mut at) = (options[index].as_bytes(), 0);
            while at < word.len() {
                assert!(!matches!(word[at], b'"' | b'\\') && word[at] >= b' ', "not a plain word");
                at += 1;
            }
            index += 1;
        }
        options.len() == count
    }

    /// The raw number in `record`, sign-extended to 32 bits where it is signed; `None` where the
    /// record is too short for it, or the field stands in an entry.
    #[must_use]
    #[inline]
    pub fn bits(&self, record: &Record<'_>) -> Option<u32> {
        if self.entry.is_some() { None } else { self.bits_at(record, self.offset) }
    }

    /// The raw number at a protocol offset of `record`.
    #[must_use]
    #[expect(
        clippy::inline_always,
        reason = "a call for each field would double the time of a record"
    )]
    #[inline(always)]
    pub(crate) fn bits_at(&self, record: &Record<'_>, offset: u8) -> Option<u32> {
        Some(match self.raw {
            Raw::U8 => u8::from_le_bytes(record.at(offset)?).into(),
            Raw::I8 => i32::from(i8::from_le_bytes(record.at(offset)?)).cast_unsigned(),
            Raw::U16 => u16::from_le_bytes(record.at(offset)?).into(),
            Raw::I16 => i32::from(i16::from_le_bytes(record.at(offset)?)).cast_unsigned(),
            Raw::U32 | Raw::I32 => u32::from_le_bytes(record.at(offset)?),
            Raw::Bit(bit) => {
                let [byte] = record.at(offset)?;
                u32::from(byte >> bit & 1)
            }
            Raw::Bits { first, count } => {
                let [byte] = record.at(offset)?;
                u32::from(byte >> first) & ((1 << count) - 1)
            }
        })
    }

    /// The value of a raw number that [`Field::bits`] gave.
    #[must_use]
    #[inline]
    pub fn value(&self, bits: u32) -> Value {
        if let Class::Choice(options) = self.metric.class
            && let Some(choice) = Choice::new(options, bits as usize)
        {
            return Value::Choice(choice);
        }
        let raw = match self.raw {
            Raw::Bit(_) => return Value::Flag(bits != 0),
            Raw::U8 | Raw::U16 | Raw::U32 | Raw::Bits { .. } => i64::from(bits),
            Raw::I8 | Raw::I16 | Raw::I32 => i64::from(bits.cast_signed()),
        };
        #[expect(clippy::cast_precision_loss, reason = "32 bits, exact in an f64")]
        #[expect(clippy::cast_possible_truncation, reason = "`is_integer` says `add` is whole")]
        if self.is_integer() {
            Value::Integer(raw + self.add as i64)
        } else {
            Value::Float(raw as f64 / self.divide + self.add)
        }
    }
}
