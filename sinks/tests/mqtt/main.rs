//! What users of the `mqtt` sink are promised, against a real broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod availability;
#[path = "../../../tests/support/gate.rs"]
mod gate;
mod household;
#[path = "../../../tests/support/logs.rs"]
mod logs;
#[path = "../../../tests/support/mosquitto.rs"]
mod mosquitto;
mod outage;
#[path = "../../../tests/support/process.rs"]
mod process;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod values;
