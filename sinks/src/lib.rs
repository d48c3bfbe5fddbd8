//! Sinks: the independent outputs of the gateway.
//!
//! A sink is one module: its `Config` (what YAML may say), and its [`Sink`], which takes batches of
//! readings or, where it asks for them, of captured frames. The loop around it is written once, in [`runner`]: receive, batch, write, back off,
//! drain. To add a sink: write its module and its line in [`registry`].

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic"))]

#[cfg(all(feature = "queue", feature = "sqlite"))]
pub mod backfill;
pub mod channel;
#[cfg(feature = "sqlite")]
pub mod chart;
pub mod clock;
pub mod current;
#[cfg(any(feature = "sqlite", feature = "queue"))]
pub mod database;
pub mod eddi_state;
pub mod energy;
#[cfg(feature = "influxdb")]
pub mod influxdb;
pub mod item;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "pcapng")]
pub mod pcapng;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "queue")]
pub mod queue;
pub mod registry;
pub mod runner;
pub mod settings;
pub mod sink;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod stats;
pub mod status;
#[cfg(feature = "stdout")]
pub mod stdout;
#[cfg(any(feature = "sqlite", feature = "queue"))]
mod timestamp_filter;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "web")]
pub mod web;

pub use item::{CapturedFrame, Item};
pub use sink::{
    Backpressure, Batching, Context, Destination, QueueStats, Sink, SinkConfig, SinkError, Written,
};
