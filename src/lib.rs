//! The gateway: capture, pipeline, configuration and commands.
//!
//! A frame's way: a [`capture`] source gives it to the pipeline, which decodes it with
//! `energi-decoders` and publishes its readings to the sinks of `energi-sinks`. Programs that embed
//! the gateway begin with [`gateway::GatewayBuilder`].

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic"))]

// What programs use: a configuration, a source, the gateway that runs them, and what surrounds it.
pub mod capture;
pub mod config;
pub mod gateway;
pub mod platform;

// What the binary and its tests use.
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod commands;
#[doc(hidden)]
pub mod dissector;

#[allow(unreachable_pub, reason = "the interface of a private module")]
mod doctor;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod history;
#[cfg(feature = "mqtt")]
#[allow(unreachable_pub, reason = "the interface of a private module")]
mod home_assistant;
#[cfg(feature = "mqtt")]
mod import;
mod manual;
mod pipeline;
#[allow(unreachable_pub, reason = "the interface of a private module")]
mod record;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod report;
#[cfg(feature = "research")]
#[allow(unreachable_pub, reason = "the interface of a private module")]
mod research;
mod terminal;
mod watch;
