//! SQLite databases that belong to the gateway: who writes to one, whether a file is one, and what
//! becomes of a damaged one. What is in them is their owners' business.

mod error;
mod file;
mod lock;
mod schema;

pub use lock::{LockError, WriterLock};

pub(crate) use error::{Refusal, StoreError};
pub(crate) use file::{DatabaseFile, Header, connect, look, with_suffix};
pub(crate) use lock::{Reserved, Sign, holder, path_of as lock_of, sign};
pub(crate) use schema::{Identity, Migration, Schema};
