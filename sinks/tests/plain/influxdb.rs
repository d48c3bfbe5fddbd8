//! What the `influxdb` sink promises.
#![cfg(feature = "influxdb")]

mod answers;
mod normal;
mod options;
mod place;
mod probe;
mod tls;
