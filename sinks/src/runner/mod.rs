//! The loop around every sink: open, receive, batch, write, back off, drain.
//!
//! Each sink has a runner of its own, a task with its own subscription, so that a slow, dead or
//! misconfigured sink never delays or loses data for another one.

mod backoff;
#[cfg(feature = "queue")]
mod delivery;
mod outage;
#[cfg(feature = "queue")]
mod queued;

use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::channel::{Delivery, Subscription};
use crate::item::Item;
use crate::sink::{Batching, Context, QueueStats, Sink, SinkConfig, SinkError, Written};
use crate::stats::SinkStats;

pub use backoff::Backoff;
#[cfg(feature = "queue")]
pub use delivery::{DeliveryReport, Dispatcher};
pub use outage::{Outage, Reminders};
#[cfg(feature = "queue")]
pub use queued::{Encoder, Queued, QueuedOptions, Receipt, SendError};

pub(crate) use backoff::CEILING;

/// Limit of a runner's retries when its sink fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Retries without end: nobody attends to a gateway in a cupboard.
    Forever,
    /// Number of tries, after which the sink is given up: somebody waits for the command to end.
    Attempts(u64),
}

/// Failure that ended a sink's run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The sink was given up.
    #[error("{0}")]
    GivenUp(SinkError),
    /// The reader of the output has gone.
    #[error("the reader of the output has gone")]
    Closed,
}

/// The longest wait between tries once the gateway ends.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// One sink and what it needs to run.
#[derive(Debug)]
pub struct Runner<T: Item = Reading> {
    config: Arc<dyn SinkConfig>,
    context: Context,
    subscription: Subscription<T>,
    stats: Arc<SinkStats>,
    retry_policy: RetryPolicy,
    outage: Outage,
    /// Counts of the open sink that `stats` already includes.
    seen: QueueStats,
}

/// Result of an attempt to deliver a batch.
enum Handed {
    Done,
    Reopen,
}

impl<T: Item> Runner<T> {
    /// A runner that takes items from `subscription` and counts in `stats`.
    #[must_use]
    pub fn new(
        config: Arc<dyn SinkConfig>,
        context: Context,
        subscription: Subscription<T>,
        stats: Arc<SinkStats>,
        retry_policy: RetryPolicy,
    ) -> Self {
        let outage = Outage::new(context.name.clone());
        stats.position.set(subscription.position());
        Self {
            config,
            context,
            subscription,
            stats,
            retry_policy,
            outage,
            seen: QueueStats::default(),
        }
    }

    /// Runs until the channel closes and everything is delivered.
    ///
    /// # Errors
    /// [`RunError`] where the sink was given up, or nobody reads its output any more.
    pub async fn run(mut self) -> Result<(), RunError> {
        let mut backoff = Backoff::default();
        let mut batch: Vec<Arc<T>> = Vec::new();
        let mut open = true;
        let result = loop {
            let mut sink = match self.open(&mut backoff).await {
                Ok(sink) => sink,
                Err(error) => break Err(error),
            };
            match self.drive(&mut *sink, &mut batch, &mut open, &mut backoff).await {
                Ok(Handed::Done) => break self.close(&mut *sink, &mut backoff).await,
                Ok(Handed::Reopen) => {}
                Err(error) => break Err(error),
            }
        };
        if result.is_err() {
            self.stats.rejected.add(self.stats.received.get() - self.stats.taken.get());
        }
        result
    }

    async fn open(&mut self, backoff: &mut Backoff) -> Result<Box<dyn Sink<T>>, RunError> {
        loop {
            match T::open(&*self.config, &self.context).await {
                Ok(sink) => {
                    self.stats.opened.add(1);
                    self.seen = QueueStats::default();
                    self.look_after(&*sink);
                    return Ok(sink);
                }
                Err(error) => self.wait_out(error, backoff).await?,
            }
        }
    }

    /// Takes readings and hands them over until the channel is closed and empty, or the sink has
    /// to be reopened.
    async fn drive(
        &mut self,
        sink: &mut dyn Sink<T>,
        batch: &mut Vec<Arc<T>>,
        open: &mut bool,
        backoff: &mut Backoff,
    ) -> Result<Handed, RunError> {
        let batching = sink.batching();
        loop {
            if *open && batch.is_empty() {
                *open = self.gather(batching, batch).await;
            }
            if !batch.is_empty() {
                if let Handed::Reopen = self.hand_over(sink, batch, backoff).await? {
                    return Ok(Handed::Reopen);
                }
            } else if !*open {
                return Ok(Handed::Done);
            }
        }
    }

    /// Fills a batch. Returns false once the channel is closed and empty.
    async fn gather(&mut self, batching: Batching, batch: &mut Vec<Arc<T>>) -> bool {
        let mut deadline = None;
        let open = loop {
            let delivery = match self.subscription.try_next() {
                Some(delivery) => delivery,
                None if !batch.is_empty() && batching.wait.is_zero() => break true,
                None => {
                    self.subscription.taken();
                    match self.next_until(deadline).await {
                        Some(delivery) => delivery,
                        None => break true,
                    }
                }
            };
            match delivery {
                Delivery::Item(item) => batch.push(item),
                Delivery::Lagged(missed) => self.lagged(missed),
                Delivery::Closed => break false,
            }
            if batch.len() >= batching.readings {
                break true;
            }
            deadline.get_or_insert_with(|| Instant::now() + batching.wait);
        };
        self.subscription.taken();
        self.stats.received.add(batch.len() as u64);
        open
    }

    async fn next_until(&mut self, deadline: Option<Instant>) -> Option<Delivery<T>> {
        match deadline {
            None => Some(self.subscription.next().await),
            Some(deadline) => {
                tokio::time::timeout_at(deadline, self.subscription.next()).await.ok()
            }
        }
    }

    fn lagged(&self, missed: u64) {
        if self.stats.lagged.get() == 0 {
            warn!(sink = self.context.name, missed, "the sink is too slow: it missed readings");
        }
        self.stats.lagged.add(missed);
    }

    async fn hand_over(
        &mut self,
        sink: &mut dyn Sink<T>,
        batch: &mut Vec<Arc<T>>,
        backoff: &mut Backoff,
    ) -> Result<Handed, RunError> {
        loop {
            match sink.write(batch).await {
                Ok(Written { delivered, skipped }) => {
                    let items = batch.len();
                    debug!(sink = self.context.name, items, delivered, skipped, "batch written");
                    self.recovered(backoff);
                    self.look_after(sink);
                    self.stats.taken.add(batch.len() as u64);
                    self.stats.position.set(self.subscription.position());
                    self.stats.delivered.add(delivered as u64);
                    self.stats.skipped.add(skipped as u64);
                    batch.clear();
                    return Ok(Handed::Done);
                }
                Err(error @ SinkError::Permanent(_)) => {
                    self.wait_out(error, backoff).await?;
                    return Ok(Handed::Reopen);
                }
                Err(error) => self.wait_out(error, backoff).await?,
            }
        }
    }

    async fn close(
        &mut self,
        sink: &mut dyn Sink<T>,
        backoff: &mut Backoff,
    ) -> Result<(), RunError> {
        loop {
            let closed = sink.close().await;
            self.look_after(sink);
            match closed {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_out(error, backoff).await?,
            }
        }
    }

    /// Takes over what the sink itself counts.
    fn look_after(&mut self, sink: &dyn Sink<T>) {
        let now = sink.queue_stats();
        self.stats.waiting.set(now.waiting);
        self.stats.delivered.add(now.delivered.saturating_sub(self.seen.delivered));
        self.stats.retried.add(now.retried.saturating_sub(self.seen.retried));
        self.stats.rejected.add(now.rejected.saturating_sub(self.seen.rejected));
        self.seen = now;
    }

    /// Waits before the next try, or gives up.
    async fn wait_out(&mut self, error: SinkError, backoff: &mut Backoff) -> Result<(), RunError> {
        let hopeless = match (self.retry_policy, &error) {
            (_, SinkError::Closed) => return Err(RunError::Closed),
            (RetryPolicy::Forever, _) => false,
            (RetryPolicy::Attempts(_), SinkError::Permanent(_)) => true,
            (RetryPolicy::Attempts(most), SinkError::Transient { .. }) => {
                backoff.tries() + 1 >= most
            }
        };
        let retry_after = match error {
            SinkError::Transient { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if hopeless {
            return Err(RunError::GivenUp(error));
        }
        self.outage.failed(error);
        self.stats.retried.add(1);
        let wait = backoff.next_wait().max(retry_after.min(CEILING));
        if self.subscription.is_closing() {
            // Little time is left to deliver what is held.
            tokio::time::sleep(wait.min(LAST_WAIT)).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.subscription.closing() => {}
            }
        }
        Ok(())
    }

    fn recovered(&mut self, backoff: &mut Backoff) {
        self.outage.recovered();
        backoff.reset();
    }
}

/// The batching of a sink that writes whatever is there at once.
pub const AT_ONCE: Batching = Batching { readings: 1024, wait: Duration::ZERO };
