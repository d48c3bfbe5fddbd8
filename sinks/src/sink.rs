//! Sinks: their traits, errors and context.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use energi_decoders::{Layout, Reading};
use thiserror::Error;

use crate::item::{CapturedFrame, Item};
use crate::settings::{Problem, QueueOptions, Tariff};
use crate::status::StatusHandle;

/// Size and delay of a sink's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// A batch is written as soon as it holds so many readings.
    pub readings: usize,
    /// A batch is written when its first reading has waited so long; zero writes whatever is
    /// there at once.
    pub wait: Duration,
}

/// Failure of a sink. The text of each says what failed, where, and what to do.
#[derive(Debug, Clone, Error)]
pub enum SinkError {
    /// A later try may succeed: the batch is offered again after a back-off.
    #[error("{message}")]
    Transient {
        /// Failure, place and remedy.
        message: String,
        /// Pause that the destination asks for, if any.
        retry_after: Option<Duration>,
    },
    /// No try succeeds until something is changed: the sink is closed, and opened again after a
    /// back-off.
    #[error("{0}")]
    Permanent(String),
    /// The reader of the output has gone; there is nobody left to write for.
    #[error("the reader of the output has gone")]
    Closed,
}

impl SinkError {
    /// A failure that a later try may not meet.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }

    /// A failure that lasts until something is changed.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(message.into())
    }
}

/// Outcome of a batch that a sink took. What is neither delivered nor skipped waits in the sink's
/// queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Readings that the destination has.
    pub delivered: usize,
    /// Readings that have no place at the destination, such as one without a time in a history.
    pub skipped: usize,
}

impl Written {
    /// Delivery of all `readings`.
    #[must_use]
    pub fn all(readings: usize) -> Self {
        Self { delivered: readings, skipped: 0 }
    }
}

/// An output that is open. Most take readings; one may take captured frames.
#[async_trait]
pub trait Sink<T: Item = Reading>: Send {
    /// Number of items that it likes to take at a time.
    fn batching(&self) -> Batching;

    /// Takes a batch. After `Ok` the sink answers for it.
    ///
    /// # Errors
    /// [`SinkError`] says whether the same batch may be offered again.
    async fn write(&mut self, batch: &[Arc<T>]) -> Result<Written, SinkError>;

    /// Counts of items after it took them, since it was opened. Most sinks have nothing to add to
    /// what the loop around them counts.
    fn queue_stats(&self) -> QueueStats {
        QueueStats::default()
    }

    /// Delivers what is held back and lets go of the destination.
    ///
    /// # Errors
    /// [`SinkError`] where something written could not be delivered.
    async fn close(&mut self) -> Result<(), SinkError>;
}

/// Counts of readings that a sink with a queue has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Readings that were delivered from the queue.
    pub delivered: u64,
    /// Readings that wait in the queue now.
    pub waiting: u64,
    /// Tries to deliver that failed and were made again.
    pub retried: u64,
    /// Readings that were given up.
    pub rejected: u64,
}

/// Context of a sink: facts about the gateway that a sink may need.
#[derive(Debug, Clone)]
pub struct Context {
    /// The sink's name in the configuration, for messages.
    pub name: String,
    /// The site's label.
    pub site: Option<String>,
    /// Time zone in which days begin.
    pub timezone: jiff::tz::TimeZone,
    /// The names that the configuration gives to devices, by serial number.
    pub device_names: Arc<BTreeMap<u32, String>>,
    /// The only devices that are accepted, by serial number, if the configuration lists them.
    pub only_devices: Option<Arc<BTreeSet<u32>>>,
    /// The tables of the decoders that are on: every key that may come.
    pub layouts: Arc<[Layout]>,
    /// True if readings come from a network interface, stamped by this machine's clock, rather than
    /// from a recording or a simulated household. Only then can that clock be wrong.
    pub live: bool,
    /// Backpressure of the source.
    pub backpressure: Backpressure,
    /// Price of electricity, if configured.
    pub tariff: Option<Tariff>,
    /// Counters and state of the whole gateway.
    pub status: StatusHandle,
}

/// Behaviour of a source when sinks are slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backpressure {
    /// The world does not wait: a sink that is too slow misses readings.
    DropOldest,
    /// A recording waits for its slowest sink.
    Wait,
}

/// Resource that only one sink may use.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The key that names it.
    pub key: &'static str,
    file: PathBuf,
}

impl Destination {
    /// A file, by its path relative to the working directory. All spellings of a path are one
    /// destination; links are not followed, for they may change.
    #[must_use]
    pub fn file(key: &'static str, path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut file = PathBuf::new();
        for part in absolute.components() {
            if part == Component::ParentDir {
                file.pop();
            } else {
                file.push(part);
            }
        }
        Self { key, file }
    }

    /// Returns whether both are one, whatever keys name them.
    #[must_use]
    pub fn is_also(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

/// Configuration of one sink.
#[async_trait]
pub trait SinkConfig: std::fmt::Debug + Send + Sync {
    /// Fills in the defaults that follow from the sink's name. Most sinks have none.
    fn named(&mut self, _name: &str) {}

    /// Returns what is wrong with values that read well in themselves. A sink without such rules
    /// need not say so.
    fn validate(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Returns what works but is likely not meant, such as an output that everybody can read.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns what no other sink may write to; unless a sink says otherwise, its queue.
    fn destination(&self) -> Option<Destination> {
        self.queue().map(|queue| Destination::file("queue.path", &queue.path))
    }

    /// The queue on disk that the sink keeps, if it keeps one.
    fn queue(&self) -> Option<QueueOptions> {
        None
    }

    /// Returns whether the sink takes captured frames in place of readings.
    fn takes_frames(&self) -> bool {
        false
    }

    /// Opens the destination of a sink that takes readings.
    ///
    /// # Errors
    /// [`SinkError`] says what failed, where, and what to do.
    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError>;

    /// Opens the destination of a sink that takes frames.
    ///
    /// # Errors
    /// [`SinkError`] says what failed, where, and what to do.
    async fn open_for_frames(
        &self,
        _context: &Context,
    ) -> Result<Box<dyn Sink<CapturedFrame>>, SinkError> {
        Err(SinkError::permanent("this sink takes readings, not frames"))
    }

    /// Tries the destination without writing a reading to it, and says what answered.
    ///
    /// # Errors
    /// [`SinkError`] says what failed, where, and what to do.
    async fn probe(&self, context: &Context) -> Result<String, SinkError>;

    /// Returns whether readings scroll over standard output, which a progress bar must know.
    fn writes_to_stdout(&self) -> bool {
        false
    }

    /// Returns whether the destination is another machine or program, rather than a file of this
    /// one; unless a sink says otherwise, that of a sink with a queue is.
    fn is_remote(&self) -> bool {
        self.queue().is_some()
    }
}
