//! Faults that a gateway meets in years in a cupboard: whole processes on a real network, with a
//! real broker, a server, disks of their own, and one fault at a time. What each of the sinks has
//! in the end is compared with what was sent.
//!
//! The faults that need a part of the gateway taken out of it are in `src/gateway/tests.rs`; the table
//! of all of them is in `docs/reliability.md`.

#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]

mod broker;
mod clock;
mod descriptors;
mod disks;
mod frames;
mod history;
mod killed;
mod server;
mod stopped;
mod test_gateway;
