//! The gateway: capture, pipeline, configuration and commands.
//!
//! A frame's way: a [`capture`] source gives it to the [`pipeline`], which decodes it with
//! `energi-decoders` and publishes its readings to the sinks of `energi-sinks`.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic"))]

pub mod assemble;
pub mod capture;
pub mod cli;
pub mod colour;
pub mod commands;
pub mod config;
pub mod dissector;
pub mod doctor;
pub mod exit;
pub mod gateway;
#[cfg(feature = "sqlite")]
pub mod history;
#[cfg(feature = "mqtt")]
pub mod import;
pub mod logging;
pub mod manual;
pub mod one_line;
pub mod pipeline;
pub mod privileges;
pub mod progress;
pub mod record;
#[cfg(feature = "sqlite")]
pub mod report;
pub mod research;
mod signals;
pub mod stop;
pub mod systemd;
