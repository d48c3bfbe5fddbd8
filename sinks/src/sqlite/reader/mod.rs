//! The history as its readers see it: the SQL beside the schema that it asks.

mod days;
mod history;
mod readings;

pub use days::DaySelection;
pub use history::{DAILY_ENERGY, History, MinuteMeans, PublicTable};
pub use readings::{ReadingPages, StoredReading, StoredReadings};
