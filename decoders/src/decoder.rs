//! The decoder trait, and the decoder that walks a field table.

use std::fmt::Debug;

use thiserror::Error;

use crate::frame::Record;
use crate::layout::Layout;
use crate::reading::{LayoutRef, Reading};

/// Why a decoder did not read a record of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The decoder requires another type or product class.
    #[error("the decoder requires another record type or product class")]
    NotWanted,
    /// The record's type is known to be another decoder's.
    #[error("record type 0x{0:04X} is another decoder's")]
    RecordType(u16),
    /// The record's product class is known to be another decoder's.
    #[error("product class {class} is another decoder's (serial {serial})")]
    Class {
        /// The device's serial number, where this decoder would have looked for it.
        serial: u32,
        /// The product class.
        class: u8,
    },
    /// A field lies past the record's end.
    #[error("the record is shorter than its fields")]
    TooShort,
    /// The record's entries do not follow one another to its end.
    #[error("an entry has size 0 or reaches past the record's end")]
    Entries,
    /// None of the fields is in the record.
    #[error("none of the decoder's entries is in the record")]
    Empty,
}

/// Reads the records that its layout selects.
pub trait Decoder: Debug + Send + Sync {
    /// The table of the fields that it reads, and of which records.
    fn layout(&self) -> &Layout;

    /// Reads `record`, which the layout [selects](Layout::selects):
    /// [`DecoderTable::decode`](crate::DecoderTable::decode) sees to that, and adds the product.
    /// The caller adds what the frame knows: time and sender.
    ///
    /// # Errors
    /// [`DecodeError`] where the record is not this decoder's after all.
    fn decode(&self, record: &Record<'_>) -> Result<Reading, DecodeError>;
}

/// The decoder that a [`Layout`] describes wholly.
#[derive(Debug, Clone)]
pub struct TableDecoder(LayoutRef);

impl TableDecoder {
    /// A decoder that walks `layout`.
    pub fn new(layout: impl Into<LayoutRef>) -> Self {
        Self(layout.into())
    }
}

impl Decoder for TableDecoder {
    fn layout(&self) -> &Layout {
        &self.0
    }

    fn decode(&self, record: &Record<'_>) -> Result<Reading, DecodeError> {
        Reading::read(&self.0, record)
    }
}
