//! SQLite databases that belong to the gateway: who writes to one, whether a file is one, and what
//! becomes of a damaged one. What is in them is their owners' business.

mod damage;
mod error;
mod lock;
mod migrate;
mod open;
mod place;
mod read;
mod trial;
mod worker;

pub use lock::{LockError, WriterLock};
pub use read::{ReadError, open_beside_writer, open_existing, open_for_reading};

pub(crate) use error::{Refusal, StoreError};
#[cfg(feature = "queue")]
pub(crate) use lock::holder;
pub(crate) use migrate::{Identity, Schema};
#[cfg(any(test, feature = "queue"))]
pub(crate) use open::DatabaseFile;
pub(crate) use trial::try_out;
pub(crate) use worker::{Database, Worker};
