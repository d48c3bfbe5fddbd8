//! What a sink has done so far, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        // Nothing is ordered by a counter; it is only read to be shown.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Replaces the count by one that is kept elsewhere.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one sink, in readings unless said otherwise.
#[derive(Debug, Default)]
pub struct SinkStats {
    /// Taken from the channel.
    pub received: Counter,
    /// Delivered, or stored to be.
    pub written: Counter,
    /// Taken, but with no place at the destination: without a time in a history, say.
    pub skipped: Counter,
    /// Missed because the sink was too slow for the channel.
    pub lagged: Counter,
    /// Tries that failed and were made again.
    pub retried: Counter,
    /// Waiting in the sink's own queue.
    pub queued: Counter,
    /// Given up.
    pub failed: Counter,
}

impl SinkStats {
    /// What has been dealt with, in one way or the other.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.written.get() + self.skipped.get()
    }
}
