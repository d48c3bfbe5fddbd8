//! The myenergi device-to-device protocol: raw bytes in, typed [`Reading`]s out.
//!
//! The way of a frame: [`Frame::parse`] checks the envelope once; [`Frame::records`] walks the
//! records in it; the [`DecoderTable`] names the [`Decoder`]s of a record by its length byte; each
//! fills a [`Reading`] from its declarative [`Layout`]; the quality [`gate`] withholds what cannot
//! be true. Nothing here does I/O, reads a clock or allocates for a frame.
//!
//! Offsets are those of the protocol's own notes: counted from the first byte after the Ethernet
//! header, the first record at [`frame::RECORDS`]. In a later record of the same frame the same
//! offsets hold, with that record's first byte standing at `0x18`.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod counter;
pub mod custom;
pub mod decoder;
pub mod entry;
pub mod error;
pub mod field;
pub mod frame;
pub mod gate;
pub mod header;
pub mod json;
pub mod layout;
pub mod metric;
pub mod packets;
pub mod product;
pub mod reading;
pub mod scalar;
pub mod switch;
pub mod table;
pub mod value;

pub use decoder::{Decoder, TableDecoder};
pub use entry::{Entries, EntryHead, EntrySelector};
pub use error::DecodeError;
pub use field::{Confidence, Field, Raw};
pub use frame::{Frame, FrameError, MacAddress, Record};
pub use gate::{Gate, Plausibility, Verdict};
pub use header::HeaderField;
pub use layout::{Layout, RecordTypes, Rules, Trust};
pub use metric::{Class, Metric};
pub use product::Product;
pub use reading::Reading;
pub use switch::Switch;
pub use table::{DecoderTable, RecordDecoder, RegisterError};
pub use value::{Choice, Value};
