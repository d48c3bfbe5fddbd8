//! What a gateway goes through in years in a cupboard: whole processes on a real network, with a real
//! broker, a server, disks of their own, and one fault at a time. What each of the sinks has in the
//! end is held against what was sent.
//!
//! The faults that need a part of the gateway taken out of it are in `supervision.rs`; the table
//! of all of them is in `docs/reliability.md`.

#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../../sinks/tests/mqtt_tls/authority.rs"]
mod authority;
mod broker;
mod clock;
mod descriptors;
#[path = "../support/disk.rs"]
mod disk;
mod disks;
mod frames;
#[path = "../support/gateway.rs"]
mod gateway;
mod history;
mod house;
#[path = "../support/influx_player.rs"]
mod influx_player;
mod killed;
#[path = "../support/mosquitto.rs"]
mod mosquitto;
#[path = "../support/network.rs"]
mod network;
#[path = "../support/process.rs"]
mod process;
mod server;
#[path = "../support/skip.rs"]
mod skip;
mod stopped;
