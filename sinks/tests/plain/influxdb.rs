//! What the `influxdb` sink promises.
#![cfg(feature = "influxdb")]

mod answers;
mod normal;
mod place;
mod probe;
mod tls;
