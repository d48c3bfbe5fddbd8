//! The gateway: capture, pipeline, configuration and commands.
//!
//! A frame's way: a [`capture`] source gives it to the pipeline, which decodes it with
//! `energi-decoders` and publishes its readings to the sinks of `energi-sinks`. Programs that embed
//! the gateway begin with [`gateway::GatewayBuilder`].

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic"))]

pub mod capture;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dissector;
pub mod doctor;
pub mod gateway;
#[cfg(feature = "sqlite")]
pub mod history;
#[cfg(feature = "mqtt")]
pub mod home_assistant;
#[cfg(feature = "mqtt")]
mod import;
mod manual;
mod pipeline;
pub mod platform;
pub mod record;
#[cfg(feature = "sqlite")]
pub mod report;
#[cfg(feature = "research")]
pub mod research;
mod terminal;
mod watch;
