//! Processes that tests start, and what they need.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::skip::skip;

/// A process that a test started, ended with it.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns where a server that a test needs is installed. None: the test has been skipped.
pub fn installed(server: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where an unprivileged user does not look.
    let places = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = places.map(|place| place.join(server)).find(|program| program.is_file());
    if found.is_none() {
        skip(&format!("`{server}` is not installed"));
    }
    found
}

/// A port of the loopback address that nobody listens on.
///
/// It stays below those that Linux gives to connections (32768 and up): one of them might take it
/// before a server does, even the connection of a client that tries it again and again and at last
/// reaches itself.
pub fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let draw = || 10_000 + (RandomState::new().hash_one(std::process::id()) % 22_000) as u16;
    std::iter::repeat_with(draw).find(free).unwrap()
}
