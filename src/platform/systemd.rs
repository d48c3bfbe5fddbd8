//! Messages to a service manager: ready, status, watchdog, stopping (`sd_notify(3)`).
//!
//! Not the library's job: one socket is opened at the start and kept, so that a process which has
//! run out of descriptors is still known to be alive, and nothing is ever waited for, for the
//! thread that tells is the one that all sinks run on.

use std::env::VarError;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::{debug, warn};

use crate::terminal::sanitize::one_line;

/// The service manager that started the program.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The manager that the environment names; `None` where there is none.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let address = match std::env::var("NOTIFY_SOCKET") {
            Ok(address) => address,
            Err(VarError::NotPresent) => return None,
            Err(error) => {
                warn!("NOTIFY_SOCKET: {error}; the service manager gets no messages");
                return None;
            }
        };
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Self::at(&address, watchdog)
            .inspect_err(|error| {
                warn!("NOTIFY_SOCKET={address}: {error}; the service manager gets no messages");
            })
            .ok()
    }

    /// The manager that listens at `address`, a path or `@` and an abstract name, and expects a
    /// sign of life within each `watchdog`.
    ///
    /// # Errors
    /// An address of another kind, or a socket that cannot be opened.
    pub fn at(address: &str, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if address.starts_with('/') => SocketAddr::from_pathname(address)?,
            None => {
                let kind = "neither a path nor an abstract socket";
                return Err(io::Error::new(io::ErrorKind::Unsupported, kind));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, watchdog })
    }

    /// Returns how long the manager waits for a sign of life before it ends the program.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Everything has started.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Reports the state of the gateway, in one line for people.
    pub fn status(&self, line: &str) {
        // A line break would begin another word.
        self.tell(&format!("STATUS={}", one_line(line)));
    }

    /// The program is alive and gets on with its work.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The program is about to end, and will have within `most`.
    pub fn stopping(&self, most: Duration) {
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", most.as_micros()));
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.socket.send_to_addr(state.as_bytes(), &self.address) {
            debug!(%error, state, "the service manager does not listen");
        }
    }
}

/// The time that the manager waits for a sign of life, where it waits for one of this process.
fn watchdog(microseconds: Option<&str>, process: Option<&str>, own: u32) -> Option<Duration> {
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 0)?;
    let ours = process.is_none_or(|process| process.parse() == Ok(own));
    ours.then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_only_by_its_process() {
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(watchdog(Some("30000000"), Some("7"), 7), seconds(30));
        assert_eq!(watchdog(Some("30000000"), None, 7), seconds(30));
        assert_eq!(watchdog(Some("30000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), Some("7"), 7), None);
        assert_eq!(watchdog(Some("soon"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }

    #[test]
    fn a_status_is_one_word_to_the_manager() {
        let name = format!("@energi-status-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::at(&name, None).unwrap();
        manager.status("a sink called\nMAINPID=1");
        let mut heard = [0; 100];
        let length = listener.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STATUS=a sink called MAINPID=1");
    }

    #[test]
    fn a_manager_that_does_not_listen_is_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = Manager::at(path.to_str().unwrap(), None).unwrap();
        manager.ready();
        let _never_read = UnixDatagram::bind(&path).unwrap();
        (0..10_000).for_each(|_| manager.alive());
        assert!(Manager::at("vsock:2:1234", None).is_err());
    }
}
