//! The operating system's side of a program: logs, exit codes, signals, privileges, service manager.

pub(crate) mod clock;
pub mod exit;
pub mod files;
pub mod logging;
pub mod privileges;
pub(crate) mod runtime;
pub mod signals;
pub mod systemd;
