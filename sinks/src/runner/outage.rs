//! Failures that repeat: logged once, then counted.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

/// An outage has this many texts at most: one whose text is never the same is logged no further.
const MOST_TEXTS: usize = 8;

/// Interval at which a lasting failure is logged again.
const REMINDER: Duration = Duration::from_hours(1);

/// A failure that lasts. Each of its texts is logged once, and its end with the number of failures.
#[derive(Debug)]
pub struct Outage {
    sink: String,
    logged: Vec<String>,
    failures: u64,
}

impl Outage {
    /// No failure yet of the sink that has this name.
    #[must_use]
    pub fn new(sink: impl Into<String>) -> Self {
        Self { sink: sink.into(), logged: Vec::new(), failures: 0 }
    }

    /// Counts a failure, and logs a text that this outage has not logged yet.
    pub fn failed(&mut self, error: impl Display) {
        self.failures += 1;
        let error = error.to_string();
        if self.logged.len() < MOST_TEXTS && !self.logged.contains(&error) {
            warn!(sink = self.sink, error, "sink unavailable, trying again");
            self.logged.push(error);
        }
    }

    /// Ends the outage, and logs that if there was one.
    pub fn recovered(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        if failures > 0 {
            self.logged.clear();
            info!(sink = self.sink, failures, "sink available again");
        }
    }
}

/// Counts of events that have no end of their own, by kind: the first of a kind is due to be logged
/// at once, the others with their number once an hour.
#[derive(Debug, Default)]
pub struct Reminders {
    /// Last log line of each kind, and the number of repeats since.
    kinds: BTreeMap<String, (Instant, u64)>,
}

impl Reminders {
    /// Counts events of a kind. Returns how many there were since the last log line, where another
    /// one is due.
    pub fn due(&mut self, kind: &str, count: u64) -> Option<u64> {
        let now = Instant::now();
        let Some((logged, since)) = self.kinds.get_mut(kind) else {
            if self.kinds.len() < MOST_TEXTS {
                self.kinds.insert(kind.to_owned(), (now, 0));
                return Some(count);
            }
            return None;
        };
        *since += count;
        if now.duration_since(*logged) < REMINDER {
            return None;
        }
        *logged = now;
        Some(std::mem::take(since))
    }

    /// Returns how many events were counted since they were last logged.
    pub fn rest(&mut self) -> u64 {
        self.kinds.values_mut().map(|(_, since)| std::mem::take(since)).sum()
    }
}
