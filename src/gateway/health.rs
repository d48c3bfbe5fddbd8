//! Tells the service manager how the gateway does.
//!
//! The watchdog is fed by progress, not by a timer: a sign of life goes out only when this task got
//! its turn, so that the thread of the sinks is not stuck, and the capture thread has gone round
//! since the last one. It goes round while nothing comes, too: a silent network is no hang.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::sinks::Sinks;
use super::status::RunningStatus;
use crate::pipeline::counters::Counters;
use crate::platform::systemd::Manager;

/// Shortest interval between two status messages to the service manager.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Interval at which the start of all tasks is checked.
const STARTING: Duration = Duration::from_millis(20);

/// Signs of life within the time that the manager waits for one: one may come late.
const SIGNS: u32 = 3;

/// Time that the end takes after the sinks have had theirs.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Health of the gateway, as the manager knows it.
pub(super) struct Health {
    manager: Option<Manager>,
    counters: Arc<Counters>,
    /// True if the capture thread must go round: not where its input may block.
    watches_capture: bool,
    rounds: u64,
    ready: bool,
    stopping: bool,
    next: Instant,
    next_status: Instant,
    status: String,
    stuck: Vec<String>,
}

impl Health {
    /// Health of a gateway that is starting. Without a service manager, no messages are sent.
    pub(super) fn new(
        manager: Option<Manager>,
        counters: Arc<Counters>,
        watches_capture: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            manager,
            counters,
            watches_capture,
            rounds: 0,
            ready: false,
            stopping: false,
            next: now,
            next_status: now,
            status: String::new(),
            stuck: Vec::new(),
        }
    }

    /// Waits until it is time to look at the tasks, and there may be something to tell.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.next).await;
    }

    /// Checks the tasks, and sends due messages to the service manager.
    pub(super) fn tell(&mut self, sinks: &Sinks, status: &RunningStatus) {
        let now = Instant::now();
        self.watch(status, now);
        let Some(manager) = &self.manager else {
            self.next = now + STATUS_EVERY;
            return;
        };
        let rounds = self.counters.rounds.get();
        let gets_on = rounds != self.rounds || !self.watches_capture;
        self.rounds = rounds;
        if !self.ready && rounds > 0 && sinks.all_run() {
            self.ready = true;
            manager.ready();
        }
        if self.ready && now >= self.next_status {
            self.next_status = now + STATUS_EVERY;
            let status = Status { counters: &self.counters, sinks }.to_string();
            if status != self.status {
                manager.status(&status);
                self.status = status;
            }
        }
        let mut wait = if self.ready { STATUS_EVERY } else { STARTING };
        if let Some(watchdog) = manager.watchdog() {
            if gets_on {
                manager.alive();
            }
            wait = wait.min(watchdog / SIGNS);
        }
        self.next = now + wait;
    }

    /// Logs stuck tasks once, and their recovery.
    fn watch(&mut self, status: &RunningStatus, now: Instant) {
        let stuck = status.stuck(now.into_std());
        if stuck != self.stuck {
            if stuck.is_empty() {
                info!("no task is stuck any more");
            } else {
                error!("stuck: {}", stuck.join(", "));
            }
            self.stuck = stuck;
        }
    }

    /// The input has ended: what is left is delivered by the sinks alone.
    pub(super) fn capture_ended(&mut self) {
        self.watches_capture = false;
    }

    /// Announces once to the service manager that the gateway ends within `most`.
    pub(super) fn stopping(&mut self, most: Duration) {
        if let Some(manager) = &self.manager
            && !std::mem::replace(&mut self.stopping, true)
        {
            manager.stopping(most + LAST_WORDS);
        }
    }
}

struct Status<'a> {
    counters: &'a Counters,
    sinks: &'a Sinks,
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counters, sinks } = self;
        if counters.is_waiting_for_interface() {
            f.write_str("waiting for the interface; ")?;
        }
        let (devices, readings) = (counters.devices.get(), counters.readings.get());
        write!(f, "devices: {devices}, readings: {readings}; {sinks}")
    }
}
