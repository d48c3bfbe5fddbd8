//! Deliveries of the sinks to real servers: Mosquitto, VictoriaMetrics, InfluxDB, PostgreSQL, and
//! replicated servers of many sites.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod custom_decoder;
mod fleet;
mod forged;
mod history_send;
#[cfg(feature = "postgres")]
mod history_to_postgres;
mod home_assistant;
mod influx_queries;
mod influxdb;
mod mqtt;
#[cfg(feature = "nats")]
mod nats;
mod remote_capture;
mod strings;
mod web;
mod words;
