//! Tests that take root: networks of virtual cables, mounts, other users, and machines made of
//! them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod browser;
mod debian;
mod doctor;
mod faults;
mod live_capture;
mod live_gateway;
mod packaging;
mod privileges;
mod read_only;
mod record;
mod service;
mod share;
