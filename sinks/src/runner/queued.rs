//! A sink with a queue on disk, for any encoder: nothing is lost while the destination is away.
//!
//! **In normal times** a batch goes straight to the destination, and the queue on disk
//! ([`crate::queue`]) is not touched. Only a batch that the destination has not confirmed within a
//! second is put there, and from then on every batch, until the queue is empty and the destination
//! swift again. A reading is thus either confirmed or on the disk at most `flush_interval` after it
//! was read: batches set out two such seconds earlier, since a reading may come while the batch
//! before its own waits one of them.
//!
//! **Order.** What waits is sent oldest first, and fresh readings queue up behind it: a reader of the
//! destination who sees a reading knows that those before it are there. Only where the disk is full
//! do fresh ones go to the destination first, since they would be nowhere else.
//!
//! **At least once.** A batch whose confirmation was lost is sent again.
//!
//! **Invalid items.** A batch that holds one is halved down to that item, which becomes a dead
//! letter, but only once the destination has taken another item: else the destination is doubted.
//!
//! **The end.** A recording's last batch is followed by all that waits, as long as the destination
//! answers. A live gateway stores what is not sent and ends; its next run sends it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::delivery::{
    DeliveryError, DeliveryProgress, DeliveryState, DeliveryTask, Dispatcher, Step,
};
use super::outage::Outage;
use crate::item::Item;
use crate::queue::{self, DiskQueue, Payload};
use crate::settings::QueueOptions;
use crate::sink::{Backpressure, Batching, Context, QueueStats, Sink, SinkError, Written};
use crate::timestamp_filter::TimestampFilter;

/// The longest that a batch waits for the destination's answer before it is put on the disk.
const GRACE: Duration = Duration::from_secs(1);

/// The part of a sink with a queue that knows its destination.
#[async_trait]
pub trait Encoder: fmt::Debug + Send + Sync + 'static {
    /// Item that is encoded: a reading, or a captured frame.
    type Item: Item;

    /// `true` where batches that waited may be sent in one request. Not where the destination knows
    /// a repeated batch by its content.
    const JOINS: bool = true;

    /// Name or address of the destination, for messages.
    fn destination(&self) -> &str;

    /// Encodes readings or frames, each of which has a time: one line an item. One that has no place
    /// at the destination is left out.
    fn encode(&self, batch: &[Arc<Self::Item>]) -> Payload;

    /// Sends items. After `Ok` the destination has them, but for those that the receipt rejects.
    ///
    /// # Errors
    /// [`SendError`]: it has none of them, or it has some and they may be sent again.
    async fn send(&self, payload: &Payload) -> Result<Receipt, SendError>;

    /// Tries the destination without sending an item, and describes what answered.
    ///
    /// # Errors
    /// [`SendError`] says what failed, where, and what to do.
    async fn probe(&self) -> Result<String, SendError>;

    /// Sends what goes beside the readings, before the sink ends. Most encoders have nothing such.
    async fn close(&self) {}
}

/// Confirmation of a destination. The default confirms all items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Number of items that it left out for good.
    pub rejected: usize,
    /// Reason why it left them out.
    pub reason: String,
}

/// Reason why a destination did not take what it was sent. Each text says what failed, where, and
/// what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The destination is away or has no time.
    #[error("{message}")]
    Transient {
        /// Failure, place and remedy.
        message: String,
        /// Pause that the destination asks for, if any.
        retry_after: Option<Duration>,
    },
    /// The destination takes nothing until something is changed.
    #[error("{0}")]
    Permanent(String),
    /// The items are too many, or too large, for one request.
    #[error("{0}")]
    TooLarge(String),
    /// One of the items is invalid. The text begins with what all such answers have in common, up
    /// to a colon.
    #[error("{0}")]
    Invalid(String),
}

impl SendError {
    /// A failure that a later try may not meet.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }
}

impl From<SendError> for SinkError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Transient { message, retry_after } => {
                Self::Transient { message, retry_after }
            }
            SendError::Permanent(text) | SendError::TooLarge(text) | SendError::Invalid(text) => {
                Self::Permanent(text)
            }
        }
    }
}

/// Options of a sink with a queue.
#[derive(Debug, Clone)]
pub struct QueuedOptions {
    /// The queue.
    pub queue: QueueOptions,
    /// The most items of a request.
    pub batch_size: usize,
    /// The longest that a reading is nowhere but in memory: what a power cut may cost.
    pub flush_interval: Duration,
}

impl QueuedOptions {
    /// Options that suit most destinations: 500 items, 10 seconds.
    #[must_use]
    pub fn new(queue: QueueOptions) -> Self {
        Self { queue, batch_size: 500, flush_interval: Duration::from_secs(10) }
    }
}

/// An open sink: fresh readings go straight to the destination, beside a task that delivers those
/// that wait.
#[derive(Debug)]
pub struct Queued<E> {
    sink: String,
    backpressure: Backpressure,
    dispatcher: Arc<Dispatcher<E>>,
    queue: DiskQueue,
    timestamp_filter: TimestampFilter,
    state: Arc<DeliveryState>,
    task: Arc<Mutex<DeliveryTask<E>>>,
    running: JoinHandle<()>,
    /// Time that a batch waits for the destination's answer.
    grace: Duration,
    batching: Batching,
    /// The items of a batch that found no place anywhere, and will be offered again.
    stranded: Option<Payload>,
}

impl<E: Encoder> Queued<E> {
    /// Tries the destination and the queue on disk without changing either, and describes what
    /// answered.
    ///
    /// # Errors
    /// [`SinkError`] says which of them failed, and what to do.
    pub async fn probe(encoder: &E, queue: &Path) -> Result<String, SinkError> {
        let answer = encoder.probe().await;
        let answer = answer.map_err(|error| SinkError::transient(error.to_string()))?;
        let queue = queue::probe(queue).await?;
        Ok(format!("{answer}; queue {queue}"))
    }

    /// Opens the queue, and delivers what waits there from now on.
    ///
    /// # Errors
    /// [`SinkError`] where the queue cannot be used. A destination that is away is no error.
    pub async fn open(
        encoder: E,
        options: QueuedOptions,
        context: &Context,
    ) -> Result<Self, SinkError> {
        let QueuedOptions { queue, batch_size, flush_interval } = options;
        let grace = GRACE.min(flush_interval / 4);
        let (sink, items) = (context.name.clone(), queue.items);
        let queue = DiskQueue::open(queue).await?;
        let state = Arc::new(DeliveryState::default());
        let failure = match timeout(GRACE, encoder.probe()).await {
            Ok(Ok(answer)) => {
                info!(sink, "{answer}");
                state.ready.store(true, Ordering::Relaxed);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("{}: no answer yet", encoder.destination())),
        };
        let dispatcher = Arc::new(Dispatcher::new(sink.clone(), encoder, items));
        let mut task = DeliveryTask {
            dispatcher: Arc::clone(&dispatcher),
            queue: queue.clone(),
            state: Arc::clone(&state),
            batch_size: if E::JOINS { batch_size } else { 1 },
            swift: grace / 2,
            outage: Outage::new(sink.clone()),
            backoff: Backoff::default(),
            progress: DeliveryProgress::default(),
        };
        if let Some(failure) = failure {
            task.log_failure(&failure);
        }
        let task = Arc::new(Mutex::new(task));
        Ok(Self {
            sink,
            backpressure: context.backpressure,
            dispatcher,
            queue,
            timestamp_filter: TimestampFilter::new(context),
            running: tokio::spawn(run(Arc::clone(&task), Arc::clone(&state))),
            state,
            task,
            grace,
            batching: Batching {
                readings: batch_size,
                wait: flush_interval.saturating_sub(2 * grace),
            },
            stranded: None,
        })
    }

    /// Sends items past the queue, if that is empty and the destination swift. Returns how many it
    /// took, unless they have to wait.
    async fn send_straight(&self, payload: &Payload) -> Option<usize> {
        if self.queue.waiting() > 0 || !self.state.ready.load(Ordering::Relaxed) {
            return None;
        }
        match timeout(self.grace, self.dispatcher.send(payload)).await {
            Ok(Ok(taken)) => Some(taken),
            // The task finds out which of them is invalid.
            Ok(Err(SendError::Invalid(_) | SendError::TooLarge(_))) => None,
            Ok(Err(SendError::Transient { .. } | SendError::Permanent(_))) | Err(_) => {
                self.state.ready.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    fn taken(&self, payload: &Payload, taken: usize, skipped: usize) -> Written {
        self.state.rejected.add((payload.items - taken) as u64);
        Written { delivered: taken, skipped }
    }

    /// Delivers all that waits.
    async fn drain(&self) -> Result<(), SinkError> {
        let mut task = self.task.lock().await;
        loop {
            match task.step().await {
                Ok(Step::Progress) => {}
                Ok(Step::Idle) => return Ok(()),
                Err(DeliveryError::Unacknowledged(why)) => {
                    warn!(
                        sink = self.sink,
                        "{why}; everything is delivered, but the next run sends some of it again"
                    );
                    return Ok(());
                }
                Err(DeliveryError::Queue(error)) => return Err(error),
                Err(error) => {
                    return Err(SinkError::transient(format!(
                        "{}; {}, and the next run sends them",
                        error.message(),
                        self.waiting()
                    )));
                }
            }
        }
    }

    fn waiting(&self) -> String {
        let (waiting, file) = (self.queue.waiting(), self.queue.path().display());
        format!("{waiting} {} wait in {file}", self.dispatcher.items())
    }
}

/// Delivers until nothing can be delivered any more.
async fn run<E: Encoder>(task: Arc<Mutex<DeliveryTask<E>>>, state: Arc<DeliveryState>) {
    loop {
        let pause = {
            let mut task = task.lock().await;
            match task.step().await {
                Ok(Step::Progress) => continue,
                Ok(Step::Idle) => None,
                Err(error) => match task.failed(&error) {
                    None => return,
                    pause => pause,
                },
            }
        };
        match pause {
            None => state.pushed.notified().await,
            Some(pause) => {
                tokio::time::sleep(pause).await;
                state.retried.add(1);
            }
        }
    }
}

#[async_trait]
impl<E: Encoder> Sink<E::Item> for Queued<E> {
    fn batching(&self) -> Batching {
        self.batching
    }

    async fn write(&mut self, batch: &[Arc<E::Item>]) -> Result<Written, SinkError> {
        let payload = match self.stranded.take() {
            Some(payload) => payload,
            None => self.dispatcher.encoder().encode(&self.timestamp_filter.admit(batch)),
        };
        let skipped = batch.len().saturating_sub(payload.items);
        if payload.is_empty() {
            return Ok(Written { delivered: 0, skipped });
        }
        if let Some(taken) = self.send_straight(&payload).await {
            return Ok(self.taken(&payload, taken, skipped));
        }
        let Err(error) = self.queue.push(payload.clone()).await else {
            let (items, waiting) = (payload.items, self.queue.waiting());
            debug!(sink = self.sink, items, waiting, "stored in the queue");
            self.state.pushed.notify_one();
            return Ok(Written { delivered: 0, skipped });
        };
        // The disk does not take them. The destination may.
        if let Ok(taken) = self.dispatcher.send(&payload).await {
            return Ok(self.taken(&payload, taken, skipped));
        }
        self.stranded = Some(payload);
        Err(error)
    }

    fn queue_stats(&self) -> QueueStats {
        QueueStats {
            delivered: self.state.delivered.get(),
            waiting: self.queue.waiting(),
            retried: self.state.retried.get(),
            rejected: self.state.rejected.get() + self.queue.dropped(),
        }
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.timestamp_filter.close();
        self.running.abort();
        match self.backpressure {
            Backpressure::Wait => self.drain().await?,
            Backpressure::DropOldest if self.queue.waiting() > 0 => {
                info!(sink = self.sink, "{}; the next run sends them", self.waiting());
            }
            Backpressure::DropOldest => {}
        }
        self.dispatcher.encoder().close().await;
        self.dispatcher.log_rest();
        self.queue.close().await
    }
}

impl<E> Drop for Queued<E> {
    fn drop(&mut self) {
        self.running.abort();
    }
}
