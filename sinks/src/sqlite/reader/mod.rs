//! The history as its readers see it: the SQL beside the schema that it asks.

mod readings;

pub use readings::{ReadingPages, StoredReading, StoredReadings};
