//! What the SQLite history promises.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

#[path = "../../../tests/support/disk.rs"]
mod disk;
mod energy;
mod faults;
mod files;
#[path = "../household/mod.rs"]
mod household;
mod place;
mod samples;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod stored;
#[path = "../../../tests/support/stranger.rs"]
mod stranger;
mod writers;
