//! Counters of a sink.

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

/// The counters of one sink, in readings unless said otherwise (or in frames, where it takes those).
#[derive(Debug, Default)]
pub struct SinkStats {
    /// Number of times that the sink was opened.
    pub opened: Counter,
    /// Taken from the channel.
    pub received: Counter,
    /// Taken by the sink, which answers for them: they are delivered, wait in its queue, or are
    /// skipped or rejected.
    pub taken: Counter,
    /// Position in the channel up to which the sink has taken, or missed, everything.
    pub position: Counter,
    /// Delivered to the destination, those among them that waited in a queue.
    pub delivered: Counter,
    /// Waiting in the sink's queue now.
    pub waiting: Counter,
    /// Items without a place at the destination, such as one without a time in a history.
    pub skipped: Counter,
    /// Given up.
    pub rejected: Counter,
    /// Missed because the sink was too slow for the channel.
    pub lagged: Counter,
    /// Tries that failed and were made again.
    pub retried: Counter,
}
