//! Promises to every sink and of every sink, without a server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod delivery;
mod energy_years;
mod influxdb;
mod queue;
mod sqlite_history;
mod web;
