//! The documents say what the program does: options, commands, snippets, paths and links in them are
//! the program's own, and what is shown was seen.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![cfg(all(
    feature = "stdout",
    feature = "sqlite",
    feature = "mqtt",
    feature = "influxdb",
    feature = "web"
))]

mod commands;
mod images;
mod links;
mod manual;
mod options;
mod page;
mod protocol_page;
mod readme;
mod reliability;
mod research_page;
mod settings;
mod snippets;
mod spelling;
mod table;
mod tutorials;
