//! SQLite databases that belong to the gateway: who writes to one, whether a file is one, and what
//! becomes of a damaged one. What is in them is their owners' business.

mod error;
mod file;
mod lock;
mod place;
mod read;
mod schema;
mod trial;

pub use lock::{LockError, WriterLock};
pub use read::{ReadError, open_existing, open_for_reading};

pub(crate) use error::{Refusal, StoreError};
pub(crate) use file::DatabaseFile;
#[cfg(feature = "influxdb")]
pub(crate) use lock::holder;
pub(crate) use schema::{Identity, Migration, Schema};
pub(crate) use trial::try_out;
