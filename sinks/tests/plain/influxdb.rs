//! Promises of the `influxdb` sink.
#![cfg(feature = "influxdb")]

mod answers;
mod normal;
mod options;
mod place;
mod probe;
mod tls;
