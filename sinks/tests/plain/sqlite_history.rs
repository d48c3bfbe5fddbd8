//! Promises of the SQLite history.
#![cfg(feature = "sqlite")]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

mod energy;
mod faults;
mod files;
mod packets;
mod place;
mod samples;
mod stored;
mod writers;
