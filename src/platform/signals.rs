//! The signals that end what runs until it is told to stop.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::debug;

use super::exit::{Exit, Failure};

/// The signals that end a run: SIGINT, SIGTERM and SIGHUP, unless the program was started with them
/// ignored, as `nohup` does.
pub struct Signals {
    listened: Vec<Signal>,
    last: Option<Instant>,
}

/// Time within which signals are one wish. Who ends a process group often signals the process
/// itself as well: GNU `timeout` does, and so does Ctrl-C through a shell script that forwards it.
const ECHO: Duration = Duration::from_millis(200);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub fn listen() -> Result<Self, Failure> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let mut listened = Vec::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            if ignored & (1 << (kind.as_raw_value() - 1)) == 0 {
                listened.push(signal(kind).map_err(|error| Failure::new(Exit::Io, error))?);
            } else {
                debug!(signal = kind.as_raw_value(), "ignored from the start on");
            }
        }
        Ok(Self { listened, last: None })
    }

    /// Waits for a signal that is not the echo of one before it.
    pub async fn next(&mut self) {
        loop {
            std::future::poll_fn(|context| {
                let mut polled = self.listened.iter_mut().map(|signal| signal.poll_recv(context));
                // Every one is polled, so that each wakes this task.
                match polled.by_ref().filter(std::task::Poll::is_ready).count() {
                    0 => std::task::Poll::Pending,
                    _ => std::task::Poll::Ready(()),
                }
            })
            .await;
            let now = Instant::now();
            // From the first on, so that a repeated Ctrl-C is noticed.
            if self.last.is_none_or(|last| now - last >= ECHO) {
                self.last = Some(now);
                break;
            }
        }
    }
}

/// The mask of ignored signals in a `/proc/PID/status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parent_ignores_is_known() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0\n"), 1);
        assert_eq!(ignored(""), 0);
    }
}
