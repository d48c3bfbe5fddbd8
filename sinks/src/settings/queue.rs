//! The queue on disk that a sink may have.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Problem, Size};

/// The most items of a batch, which is one request: more than any server gains by.
const MOST_ITEMS: usize = 10_000;

/// The smallest queue, in MiB for each thousand items of a batch: room for a few batches.
const SMALLEST_QUEUE: u64 = 1;

/// Options of a sink's queue on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// The file, relative to the working directory; `<sink name>.queue.db` unless it is given.
    pub path: PathBuf,
    /// Size at which the oldest items are dropped.
    pub max_bytes: Size,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { path: PathBuf::new(), max_bytes: Size::from_mib(256) }
    }
}

impl QueueConfig {
    /// Fills in what follows from the sink's name.
    pub fn named(&mut self, name: &str) {
        if self.path.as_os_str().is_empty() {
            self.path = format!("{name}.queue.db").into();
        }
    }

    /// Problems of the values and of the sink's `batch_size`.
    #[must_use]
    pub fn problems(&self, batch_size: usize) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=MOST_ITEMS).contains(&batch_size) {
            let problem = format!("take 1 to {MOST_ITEMS}; the default is a good size");
            problems.push(Problem::new("batch_size", problem));
        }
        if self.path.as_os_str().is_empty() {
            problems.push(Problem::new("queue.path", "name a file, such as influxdb.queue.db"));
        }
        let thousands = batch_size.clamp(1, MOST_ITEMS).div_ceil(1_000);
        let smallest = Size::from_mib(SMALLEST_QUEUE * thousands as u64);
        if self.max_bytes < smallest {
            let problem = format!("at least {smallest} is needed for this `batch_size`");
            problems.push(Problem::new("queue.max_bytes", problem));
        }
        problems
    }

    /// The queue itself, whose items have this name in messages, such as `points`.
    #[must_use]
    pub fn options(&self, items: &'static str) -> QueueOptions {
        QueueOptions { path: self.path.clone(), max_bytes: self.max_bytes, items }
    }
}

/// Place and size of a queue on disk.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// The database file.
    pub path: PathBuf,
    /// Size limit.
    pub max_bytes: Size,
    /// Name of the items in messages, such as `points`.
    pub items: &'static str,
}
