//! What the `influxdb` sink promises.
#![cfg(feature = "influxdb")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod answers;
#[path = "../mqtt_tls/authority.rs"]
mod authority;
#[path = "../household/mod.rs"]
mod household;
mod normal;
mod place;
#[path = "../../../tests/support/influx_player.rs"]
mod player;
mod probe;
#[path = "../../../tests/support/skip.rs"]
mod skip;
mod tls;
