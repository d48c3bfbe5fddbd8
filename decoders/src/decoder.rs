//! The decoder trait, and the decoder that walks a field table.

use std::fmt::Debug;

use crate::error::DecodeError;
use crate::frame::Record;
use crate::layout::Layout;
use crate::reading::{LayoutRef, Reading};

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
