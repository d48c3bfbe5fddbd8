//! The documents say what the program does: options, commands, snippets, paths and links in them are
//! the program's own, and what is shown was seen.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]

#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/skip.rs"]
mod skip;

mod commands;
mod images;
mod links;
mod options;
mod page;
mod readme;
mod reliability;
mod settings;
mod snippets;
mod spelling;
#[path = "../support/terminal.rs"]
mod terminal;
mod tutorials;
