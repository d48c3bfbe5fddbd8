//! A queue on disk, a SQLite database: batches wait here until their destination confirms them.
//!
//! - **Durable.** [`DiskQueue::push`] returns when the batch is on the disk: neither `kill -9` nor a
//!   power cut takes it away. One commit a batch.
//! - **Oldest first.** [`DiskQueue::oldest`] gives the batches in the order in which they came, as
//!   many as make a good request and no more, so memory stays flat however much waits.
//! - **At least once.** [`DiskQueue::ack`] removes what was delivered. That need not be on the disk
//!   when it returns: a power cut brings a delivered batch back at worst, to be delivered again.
//! - **Bounded.** The file never holds more than it may; the oldest batches go first, counted and
//!   logged. Its write-ahead log comes on top, some MiB.
//! - **Dead letters.** What a destination will never take goes to a table of its own with the
//!   destination's words, the newest [`MOST_DEAD_LETTERS`] of them, in an eighth of the room at most.
//!
//! A thread of its own does the work, since disks may block. A full disk is an error of `push` and
//! nothing worse: what waits stays, and can be delivered.

mod admin;
mod payload;
mod schema;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::database::Worker;
use crate::settings::QueueOptions;
use crate::sink::SinkError;

pub use admin::{QueueStatus, probe, purge, status};
pub use payload::Payload;
pub use schema::{APPLICATION_ID, VERSION};
pub use store::MOST_DEAD_LETTERS;

use schema::SCHEMA;
use store::QueueStore;

/// The oldest batches, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedBatch {
    /// Content of the items.
    pub payload: Payload,
    /// The position of the last of them.
    pub through: QueuePosition,
}

/// The place of a batch in the queue. The default is before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct QueuePosition(i64);

/// An item that the destination will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Time of the discovery.
    pub time: Timestamp,
    /// The item.
    pub item: String,
    /// Reason that the destination gave.
    pub reason: String,
}

/// Counts of items.
#[derive(Debug, Default)]
struct QueueCounters {
    waiting: AtomicU64,
    dropped: AtomicU64,
}

/// An open queue, which no other process may open. All clones are one; without one it is closed.
#[derive(Debug, Clone)]
pub struct DiskQueue {
    worker: Worker<QueueStore>,
    counters: Arc<QueueCounters>,
}

impl DiskQueue {
    /// Opens the queue, or makes it where there is none.
    ///
    /// # Errors
    /// [`SinkError`] says why the file cannot be used, and what to do.
    pub async fn open(options: QueueOptions) -> Result<Self, SinkError> {
        let counters = Arc::<QueueCounters>::default();
        let (path, counts) = (options.path.clone(), Arc::clone(&counters));
        let open = move |connection| QueueStore::new(connection, options, counts);
        Ok(Self { worker: Worker::start("queue", &path, &SCHEMA, open).await?, counters })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.worker.path()
    }

    /// Number of items that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.counters.waiting.load(Ordering::Relaxed)
    }

    /// Number of items that were dropped because the queue was full, since it was opened.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// Puts a batch at the end. When this returns it is on the disk.
    ///
    /// # Errors
    /// [`SinkError::Transient`] where the disk does not take it now; nothing else has changed.
    pub async fn push(&self, batch: Payload) -> Result<(), SinkError> {
        let now = Timestamp::now();
        self.worker.ask(move |store| store.push(&batch, now)).await
    }

    /// The oldest batches behind `after`: as many as hold `items` items at most, one at least;
    /// `None` where there is none.
    ///
    /// # Errors
    /// [`SinkError`] where the file cannot be read.
    pub async fn oldest(
        &self,
        after: QueuePosition,
        items: usize,
    ) -> Result<Option<QueuedBatch>, SinkError> {
        self.worker.ask(move |store| store.oldest(after, items)).await
    }

    /// Removes the batches up to `through`, which are dealt with, and keeps items of them as dead
    /// letters.
    ///
    /// # Errors
    /// [`SinkError`] where the disk does not take it now; nothing has changed.
    pub async fn ack(
        &self,
        through: QueuePosition,
        dead_letters: Vec<DeadLetter>,
    ) -> Result<(), SinkError> {
        self.worker.ask(move |store| store.ack(through, &dead_letters)).await
    }

    /// Closes the file. Other handles find it gone.
    ///
    /// # Errors
    /// [`SinkError`] where SQLite cannot.
    pub async fn close(&self) -> Result<(), SinkError> {
        self.worker.close().await
    }
}
