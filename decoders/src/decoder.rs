//! The decoder trait, and the decoder that walks a field table.

use std::fmt::Debug;

use thiserror::Error;

use crate::frame::Record;
use crate::layout::Layout;
use crate::reading::{LayoutRef, Reading};

/// Why a decoder did not read a record of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The record's type is not the decoder's.
    #[error("record type {0:#06x} is another decoder's")]
    RecordType(u16),
    /// A field lies past the record's end.
    #[error("the record is shorter than its fields")]
    TooShort,
}

/// Reads the records of one length.
pub trait Decoder: Debug + Send + Sync {
    /// The table of the fields that it reads.
    fn layout(&self) -> &Layout;

    /// Reads `record`. The caller adds what the frame knows: time and sender.
    ///
    /// # Errors
    /// [`DecodeError`] where the record is not this decoder's.
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
        let record_type = record.record_type();
        if self.0.record_type.is_some_and(|wanted| wanted != record_type) {
            return Err(DecodeError::RecordType(record_type));
        }
        Reading::read(&self.0, record).ok_or(DecodeError::TooShort)
    }
}
