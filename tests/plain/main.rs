//! Behaviour of the program with files, its command line and its own processes: nothing has to be
//! installed, and anybody may run it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod check;
mod configuration;
mod decode_formats;
mod dissector;
mod distribution;
mod ending;
mod example_day;
mod golden_day;
mod health;
mod history;
#[cfg(feature = "sqlite")]
mod history_file;
mod import_config;
mod init;
mod remote_capture;
mod replay;
mod replay_formats;
mod report;
mod research;
mod research_export;
mod terminal;
mod watch;
