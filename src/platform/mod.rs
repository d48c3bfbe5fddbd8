//! The operating system's side of a program: logs, exit codes, signals, privileges, service manager.

pub mod exit;
pub mod logging;
pub mod privileges;
pub(crate) mod signals;
pub mod systemd;
