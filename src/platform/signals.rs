//! The signals that end what runs until it is told to stop.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::platform::exit::{Exit, Failure};

/// The signals that end a run: SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    last: Option<Instant>,
}

/// Who ends a process group often signals the process itself as well: GNU `timeout` does, and so
/// does Ctrl-C through a shell script that forwards it. Signals this close are one wish.
const ECHO: Duration = Duration::from_millis(200);

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Io, error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            last: None,
        })
    }

    /// Waits for a signal that is not the echo of one before it.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            let now = Instant::now();
            // From the first on, so that who presses Ctrl-C again and again is heard.
            if self.last.is_none_or(|last| now - last >= ECHO) {
                self.last = Some(now);
                break;
            }
        }
    }
}
