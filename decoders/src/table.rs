//! The decoder table: 256 slots, indexed by the packet-length byte.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::decoder::{Decoder, TableDecoder};
use crate::frame::Record;
use crate::layout::{Layout, Trust};
use crate::packets;
use crate::reading::MAX_FIELDS;

/// Why a decoder cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Two decoders would claim the same records with the same standing.
    #[error(
        "{length:#04X}: `{first}` and `{second}` both read it; give them different record types"
    )]
    Duplicate {
        /// The length byte.
        length: u8,
        /// The decoder that is registered.
        first: String,
        /// The decoder that is refused.
        second: String,
    },
    /// A field does not lie inside a record of the decoder's length.
    #[error("{length:#04X}: field `{key}` at {offset:#04X} is past the record's end")]
    PastEnd {
        /// The length byte.
        length: u8,
        /// The field's key.
        key: String,
        /// The field's offset.
        offset: u8,
    },
    /// More fields than a reading holds.
    #[error("{length:#04X}: {count} fields; a decoder has at most {MAX_FIELDS}")]
    TooManyFields {
        /// The length byte.
        length: u8,
        /// How many fields there are.
        count: usize,
    },
    /// A key would mean two things.
    #[error("{length:#04X}: `{key}` is a key of `{other}` already; give it another name")]
    Key {
        /// The length byte.
        length: u8,
        /// The key.
        key: String,
        /// The decoder that has it.
        other: String,
    },
    /// There is no experimental decoder for this length.
    #[error("{0:#04X} has no experimental decoder")]
    NotExperimental(u8),
}

/// The decoders that are switched on, by the length byte of the records that they read.
#[derive(Debug)]
pub struct DecoderTable {
    slots: Box<[Vec<Box<dyn Decoder>>; 256]>,
}

impl DecoderTable {
    /// The confirmed decoders.
    #[must_use]
    pub fn confirmed() -> Self {
        let mut table = Self { slots: Box::new([const { Vec::new() }; 256]) };
        for layout in packets::ALL.iter().filter(|layout| layout.status == Trust::Confirmed) {
            table.slot_mut(layout.length).push(Box::new(TableDecoder::new(*layout)));
        }
        table
    }

    /// Every built-in decoder, the experimental ones switched on.
    #[must_use]
    pub fn built_in() -> Self {
        let mut table = Self::confirmed();
        for layout in packets::ALL.iter().filter(|layout| layout.status == Trust::Experimental) {
            table.slot_mut(layout.length).push(Box::new(TableDecoder::new(*layout)));
        }
        table
    }

    /// The length bytes of the built-in experimental decoders.
    #[must_use]
    pub fn experimental_lengths() -> BTreeSet<u8> {
        packets::ALL
            .iter()
            .filter(|layout| layout.status == Trust::Experimental)
            .map(|layout| layout.length)
            .collect()
    }

    /// Switches the built-in experimental decoder of `length` on.
    ///
    /// # Errors
    /// [`RegisterError::NotExperimental`] where there is none, [`RegisterError::Duplicate`] where
    /// it is on.
    pub fn switch_on(&mut self, length: u8) -> Result<(), RegisterError> {
        let layout = packets::ALL
            .iter()
            .find(|layout| layout.length == length && layout.status == Trust::Experimental)
            .ok_or(RegisterError::NotExperimental(length))?;
        self.register(Box::new(TableDecoder::new(*layout)))
    }

    /// Adds a decoder after those that its length has.
    ///
    /// # Errors
    /// [`RegisterError`] says why it cannot stand beside them.
    pub fn register(&mut self, decoder: Box<dyn Decoder>) -> Result<(), RegisterError> {
        let layout = decoder.layout();
        let length = layout.length;
        if layout.fields.len() > MAX_FIELDS {
            return Err(RegisterError::TooManyFields { length, count: layout.fields.len() });
        }
        if let Some(field) = layout.fields.iter().find(|field| !field.fits(length)) {
            return Err(RegisterError::PastEnd {
                length,
                key: field.key().to_owned(),
                offset: field.offset,
            });
        }
        let rival = self.slot(length).iter().find(|other| {
            let other = other.layout();
            other.status == layout.status && other.record_type == layout.record_type
        });
        if let Some(rival) = rival {
            return Err(RegisterError::Duplicate {
                length,
                first: rival.layout().name.to_string(),
                second: layout.name.to_string(),
            });
        }
        if let Some((key, other)) = self.taken_key(layout) {
            return Err(RegisterError::Key { length, key, other });
        }
        self.slot_mut(length).push(decoder);
        Ok(())
    }

    /// A key of `layout` that another decoder of its length has, unless both are declared and mean
    /// the same by it.
    fn taken_key(&self, layout: &Layout) -> Option<(String, String)> {
        self.slot(layout.length).iter().map(|other| other.layout()).find_map(|other| {
            let declared = (other.status, layout.status) == (Trust::Declared, Trust::Declared);
            let clash = layout.fields.iter().find(|field| {
                other.fields.iter().any(|theirs| {
                    theirs.key() == field.key() && !(declared && theirs.metric == field.metric)
                })
            });
            clash.map(|field| (field.key().to_owned(), other.name.to_string()))
        })
    }

    /// The decoders for a record, the built-in one first.
    #[must_use]
    #[inline]
    pub fn decoders(&self, record: &Record<'_>) -> &[Box<dyn Decoder>] {
        self.slot(record.length())
    }

    /// Every decoder that is on, by length.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Decoder> {
        self.slots.iter().flatten().map(AsRef::as_ref)
    }

    fn slot(&self, length: u8) -> &Vec<Box<dyn Decoder>> {
        &self.slots[usize::from(length)]
    }

    fn slot_mut(&mut self, length: u8) -> &mut Vec<Box<dyn Decoder>> {
        &mut self.slots[usize::from(length)]
    }
}
