//! Reasons why a record was not read.

use thiserror::Error;

/// Reason why a decoder did not read a record of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The decoder requires another type or product class.
    #[error("the decoder requires another record type or product class")]
    NotWanted,
    /// The record's type is known to be another decoder's.
    #[error("record type 0x{0:04X} belongs to another decoder")]
    RecordType(u16),
    /// The record's product class is known to be another decoder's.
    #[error("product class {class} belongs to another decoder (serial {serial})")]
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
    /// Record without any of the fields.
    #[error("none of the decoder's entries is in the record")]
    Empty,
}
