//! Delivery of encoded readings: what a destination's answer means for each item, and the task that
//! delivers what waits in the queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::outage::{Outage, Reminders};
use super::queued::{Encoder, Receipt, SendError};
use crate::queue::{DeadLetter, DiskQueue, MOST_DEAD_LETTERS, Payload, QueuePosition};
use crate::sink::SinkError;
use crate::stats::Counter;

/// Number of items that a destination that has taken none may call invalid before the destination
/// itself is doubted: a proxy, for example, or one that expects encryption.
const MOST_DOUBTFUL: usize = 8;

/// Number of batches behind that are tried before the next pause, where the destination is doubted.
const LOOK_AHEAD: usize = 8;

/// Between the tries of what somebody has to change something for.
const PERMANENT_PAUSE: Duration = Duration::from_mins(1);

/// Reason why items wait.
#[derive(Debug)]
pub(super) enum DeliveryError {
    /// A later try may succeed.
    Transient { message: String, retry_after: Option<Duration> },
    /// Somebody has to change something.
    Permanent(String),
    /// Either that, or these items are invalid and others are not.
    Doubtful(String),
    /// Everything is delivered, but the queue cannot remove what was.
    Unacknowledged(String),
    /// The queue cannot be used.
    Queue(SinkError),
}

/// Result of the items that were delivered or rejected.
#[derive(Debug, Default)]
pub struct DeliveryReport {
    /// Number of items that the destination took.
    pub delivered: usize,
    /// Number of items that it left out for good.
    pub rejected: usize,
    /// Items that it will never take.
    pub dead_letters: Vec<DeadLetter>,
    /// Duration of the last delivery; `None` if nothing was delivered.
    took: Option<Duration>,
}

/// Items on their way. What was dealt with stays so where the rest has to wait: a destination that
/// now and then has no time would otherwise never see the end of a search for an invalid item.
#[derive(Debug)]
struct PendingBatch {
    /// Payloads still to be sent, the last of them first.
    pieces: Vec<Payload>,
    /// Result of the others.
    report: DeliveryReport,
}

impl From<Payload> for PendingBatch {
    fn from(payload: Payload) -> Self {
        Self { pieces: vec![payload], report: DeliveryReport::default() }
    }
}

/// A way to a destination.
#[derive(Debug)]
pub struct Dispatcher<E> {
    sink: String,
    encoder: E,
    /// Name of the items in messages.
    items: &'static str,
    /// True if the destination has ever taken an item.
    proven: AtomicBool,
    reminders: Mutex<Reminders>,
}

impl<E: Encoder> Dispatcher<E> {
    /// A way to the destination of a sink's encoder, whose items have this name in messages.
    pub fn new(sink: impl Into<String>, encoder: E, items: &'static str) -> Self {
        let (proven, reminders) = (AtomicBool::new(false), Mutex::default());
        Self { sink: sink.into(), encoder, items, proven, reminders }
    }

    /// Name of the items in messages.
    pub fn items(&self) -> &'static str {
        self.items
    }

    /// The encoder.
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// Sends items past any queue: in halves where they are too many for one request or one of them
    /// is invalid.
    ///
    /// # Errors
    /// [`SinkError::Transient`] where the destination may take them later, [`SinkError::Permanent`]
    /// where something has to be changed first. Some may have arrived.
    pub async fn deliver(&self, payload: Payload) -> Result<DeliveryReport, SinkError> {
        let report = self.deliver_pending(&mut payload.into()).await?;
        self.log_dead_letters(&report.dead_letters);
        Ok(report)
    }

    /// Sends a payload in one piece. Returns how many of its items the destination took; it has
    /// left the others out for good.
    pub(super) async fn send(&self, payload: &Payload) -> Result<usize, SendError> {
        let Receipt { rejected, reason } = self.encoder.send(payload).await?;
        self.proven.store(true, Ordering::Relaxed);
        let rejected = rejected.min(payload.items);
        if rejected > 0 {
            self.log_rejected("left out for good", rejected, &reason, None);
        }
        Ok(payload.items - rejected)
    }

    /// Sends what is pending in one piece, or else in pieces: halves of what is too large or holds an
    /// invalid item, down to that item.
    async fn deliver_pending(
        &self,
        pending: &mut PendingBatch,
    ) -> Result<DeliveryReport, DeliveryError> {
        let PendingBatch { pieces, report } = pending;
        loop {
            if let Some(doubtful) = report.dead_letters.last()
                && (pieces.is_empty() || report.dead_letters.len() >= MOST_DOUBTFUL)
                && !self.is_proven()
            {
                return Err(DeliveryError::Doubtful(format!(
                    "{} accepts no item at all ({}); is it the right server?",
                    self.encoder.destination(),
                    doubtful.reason
                )));
            }
            // It stays among the pieces until there is an answer: who waits for that may give up.
            let Some(piece) = pieces.last().cloned() else { return Ok(std::mem::take(report)) };
            let begun = Instant::now();
            match self.send(&piece).await {
                Ok(taken) => {
                    pieces.pop();
                    report.delivered += taken;
                    report.rejected += piece.items - taken;
                    report.took = Some(begun.elapsed());
                }
                Err(SendError::Invalid(reason) | SendError::TooLarge(reason)) => {
                    pieces.pop();
                    if let Some((first, second)) = piece.halves() {
                        pieces.extend([second, first]);
                    } else {
                        let (time, item) = (Timestamp::now(), piece.text().trim_end().to_owned());
                        report.dead_letters.push(DeadLetter { time, item, reason });
                        // Invalid items come in a row: the next try is elsewhere.
                        if !self.is_proven() && !pieces.is_empty() {
                            pieces.rotate_left(1);
                        }
                    }
                }
                Err(SendError::Transient { message, retry_after }) => {
                    return Err(DeliveryError::Transient { message, retry_after });
                }
                Err(SendError::Permanent(why)) => return Err(DeliveryError::Permanent(why)),
            }
        }
    }

    fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    fn log_dead_letters(&self, dead_letters: &[DeadLetter]) {
        if let Some(DeadLetter { item, reason, .. }) = dead_letters.first() {
            self.log_rejected("invalid", dead_letters.len(), reason, Some(item.as_str()));
        }
    }

    /// Logs the first items that are rejected in a way, and once an hour how many there were since.
    fn log_rejected(&self, how: &str, count: usize, reason: &str, item: Option<&str>) {
        // The words behind a status code may name the item.
        let kind = format!("{how} {}", reason.split(':').next().unwrap_or_default());
        let mut reminders = self.reminders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = reminders.due(&kind, count as u64) {
            let (destination, items) = (self.encoder.destination(), self.items);
            warn!(
                sink = self.sink,
                count, reason, item, "{items} rejected by {destination}: {how}; more are counted"
            );
        }
    }

    /// Logs how many items were rejected since that was last logged.
    pub(super) fn log_rest(&self) {
        let mut reminders = self.reminders.lock().unwrap_or_else(PoisonError::into_inner);
        let count = reminders.rest();
        if count > 0 {
            warn!(sink = self.sink, count, "more {} were rejected", self.items);
        }
    }
}

/// State shared by the delivery task and the sink.
#[derive(Debug, Default)]
pub(super) struct DeliveryState {
    /// True if the destination took the last items at once, so that fresh ones may go straight to
    /// it.
    pub(super) ready: AtomicBool,
    /// Told when something was put in the queue.
    pub(super) pushed: Notify,
    /// Items that the destination has taken from the queue.
    pub(super) delivered: Counter,
    /// Items that were given up.
    pub(super) rejected: Counter,
    /// Tries that were made again.
    pub(super) retried: Counter,
}

/// Delivers what waits in the queue, the oldest first.
#[derive(Debug)]
pub(super) struct DeliveryTask<E> {
    pub(super) dispatcher: Arc<Dispatcher<E>>,
    pub(super) queue: DiskQueue,
    pub(super) state: Arc<DeliveryState>,
    /// The most items of a request that joins batches.
    pub(super) batch_size: usize,
    /// An answer that took longer than this is not waited for by the sink with fresh readings.
    pub(super) swift: Duration,
    pub(super) outage: Outage,
    pub(super) backoff: Backoff,
    pub(super) progress: DeliveryProgress,
}

/// Progress of a delivery task.
#[derive(Debug, Default)]
pub(super) struct DeliveryProgress {
    /// Dealt with up to here.
    through: QueuePosition,
    /// The oldest items behind that, up to the position beside them, once a try has begun.
    pending: Option<(PendingBatch, QueuePosition)>,
    /// Looked behind for an item that the destination takes, up to here.
    looked_ahead: QueuePosition,
    /// Dead letters that the queue has yet to keep.
    dead_letters: Vec<DeadLetter>,
    /// True if the queue has yet to remove what was dealt with: a full disk may keep it from that,
    /// and must not keep items from being delivered.
    unacknowledged: bool,
}

/// Result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Items are dealt with; there may be more.
    Progress,
    /// Nothing waits.
    Idle,
}

impl<E: Encoder> DeliveryTask<E> {
    /// Deals with the oldest items.
    ///
    /// # Errors
    /// [`DeliveryError`]: they still wait.
    pub(super) async fn step(&mut self) -> Result<Step, DeliveryError> {
        let progress = &mut self.progress;
        if progress.pending.is_none() {
            let oldest = self.queue.oldest(progress.through, self.batch_size).await;
            let oldest = oldest.map_err(DeliveryError::Queue)?;
            progress.pending = oldest.map(|batch| (batch.payload.into(), batch.through));
        }
        let Some((pending, through)) = &mut progress.pending else {
            return match self.acknowledge().await {
                Ok(()) => Ok(Step::Idle),
                Err(SinkError::Transient { message, .. }) => {
                    Err(DeliveryError::Unacknowledged(message))
                }
                Err(error) => Err(DeliveryError::Queue(error)),
            };
        };
        let through = *through;
        let report = match self.dispatcher.deliver_pending(pending).await {
            Ok(report) => report,
            Err(error) => {
                self.state.ready.store(false, Ordering::Relaxed);
                if let DeliveryError::Doubtful(_) = error {
                    self.progress.pending = None;
                    if self.proves_itself(through).await? {
                        return Ok(Step::Progress);
                    }
                }
                return Err(error);
            }
        };
        let (delivered, rejected) = (report.delivered, report.rejected);
        debug!(sink = self.dispatcher.sink, delivered, rejected, "sent from the queue");
        self.outage.recovered();
        self.backoff.reset();
        if let Some(took) = report.took {
            self.state.ready.store(took < self.swift, Ordering::Relaxed);
        }
        self.dispatcher.log_dead_letters(&report.dead_letters);
        self.state.delivered.add(report.delivered as u64);
        self.state.rejected.add((report.rejected + report.dead_letters.len()) as u64);
        self.progress.pending = None;
        self.progress.through = through;
        self.progress.dead_letters.extend(report.dead_letters);
        self.progress.unacknowledged = true;
        match self.acknowledge().await {
            // Tried again when nothing else is left to do.
            Ok(()) | Err(SinkError::Transient { .. }) => Ok(Step::Progress),
            Err(error) => Err(DeliveryError::Queue(error)),
        }
    }

    /// Notes a failure, and returns how long to wait before the next try; `None` once the queue
    /// cannot be used any more.
    pub(super) fn failed(&mut self, error: &DeliveryError) -> Option<Duration> {
        let growing = self.backoff.next_wait();
        let pause = match error {
            DeliveryError::Permanent(_) | DeliveryError::Doubtful(_) => {
                PERMANENT_PAUSE.max(growing)
            }
            DeliveryError::Transient { retry_after, .. } => {
                growing.max(retry_after.unwrap_or_default().min(PERMANENT_PAUSE))
            }
            DeliveryError::Queue(SinkError::Permanent(_) | SinkError::Closed) => return None,
            DeliveryError::Queue(SinkError::Transient { .. })
            | DeliveryError::Unacknowledged(_) => growing,
        };
        self.log_failure(&error.message());
        Some(pause)
    }

    /// Logs a failure once, with where items wait meanwhile.
    pub(super) fn log_failure(&mut self, failure: &str) {
        let (items, file) = (self.dispatcher.items, self.queue.path().display());
        self.outage.failed(format_args!("{failure}; {items} wait in {file} until then"));
    }

    /// Looks behind for an item that the destination takes, so that invalid ones never block those
    /// that are not. That item is sent again in its turn.
    async fn proves_itself(&mut self, behind: QueuePosition) -> Result<bool, DeliveryError> {
        for _ in 0..LOOK_AHEAD {
            let after = self.progress.looked_ahead.max(behind);
            let next = self.queue.oldest(after, self.batch_size).await;
            let Some(batch) = next.map_err(DeliveryError::Queue)? else {
                self.progress.looked_ahead = QueuePosition::default();
                break;
            };
            self.progress.looked_ahead = batch.through;
            let mut item = batch.payload;
            while let Some((_, last)) = item.halves() {
                item = last;
            }
            if self.dispatcher.send(&item).await.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes from the queue what was dealt with.
    async fn acknowledge(&mut self) -> Result<(), SinkError> {
        let DeliveryProgress { through, dead_letters, unacknowledged, .. } = &mut self.progress;
        if *unacknowledged {
            // More than the queue keeps need not be kept for it.
            dead_letters.drain(..dead_letters.len().saturating_sub(MOST_DEAD_LETTERS));
            self.queue.ack(*through, dead_letters.clone()).await?;
            dead_letters.clear();
            *unacknowledged = false;
        }
        Ok(())
    }
}

impl DeliveryError {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Transient { message: text, .. }
            | Self::Permanent(text)
            | Self::Doubtful(text)
            | Self::Unacknowledged(text) => text.clone(),
            Self::Queue(error) => error.to_string(),
        }
    }
}

impl From<DeliveryError> for SinkError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Transient { message, retry_after } => {
                Self::Transient { message, retry_after }
            }
            DeliveryError::Unacknowledged(text) => Self::transient(text),
            DeliveryError::Permanent(text) | DeliveryError::Doubtful(text) => Self::Permanent(text),
            DeliveryError::Queue(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use energi_decoders::Reading;

    use super::*;
    use crate::settings::{QueueOptions, Size};

    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl Encoder for Nowhere {
        type Item = Reading;

        fn destination(&self) -> &'static str {
            "nowhere"
        }

        fn encode(&self, _: &[Arc<Reading>]) -> Payload {
            Payload::default()
        }

        async fn send(&self, _: &Payload) -> Result<Receipt, SendError> {
            Err(SendError::transient("away"))
        }

        async fn probe(&self) -> Result<String, SendError> {
            Err(SendError::transient("away"))
        }
    }

    async fn task(directory: &std::path::Path) -> DeliveryTask<Nowhere> {
        let path = directory.join("queue.db");
        let options = QueueOptions { path, max_bytes: Size::from_mib(1), items: "points" };
        DeliveryTask {
            dispatcher: Arc::new(Dispatcher::new("mine", Nowhere, "points")),
            queue: DiskQueue::open(options).await.unwrap(),
            state: Arc::default(),
            batch_size: 500,
            swift: Duration::from_millis(500),
            outage: Outage::new("mine"),
            backoff: Backoff::default(),
            progress: DeliveryProgress::default(),
        }
    }

    const MINUTE: Duration = Duration::from_mins(1);

    /// Pauses after so many failures with the same error.
    async fn pauses(error: &DeliveryError, count: usize) -> Vec<Duration> {
        let directory = tempfile::tempdir().unwrap();
        let mut task = task(directory.path()).await;
        (0..count).map(|_| task.failed(error).unwrap()).collect()
    }

    fn away(retry_after: Option<Duration>) -> DeliveryError {
        DeliveryError::Transient { message: "away".into(), retry_after }
    }

    #[tokio::test]
    async fn pauses_grow_to_a_minute() {
        let growing = pauses(&away(None), 20).await;
        assert!(growing[0] <= Duration::from_millis(500), "{growing:?}");
        assert!(growing.iter().all(|pause| *pause <= MINUTE), "{growing:?}");
        let last = &growing[10..];
        assert!(last.iter().all(|pause| *pause >= MINUTE / 2), "{growing:?}");
        assert!(last.iter().any(|pause| *pause != last[0]), "without jitter: {growing:?}");
    }

    #[tokio::test]
    async fn what_has_to_be_changed_is_tried_once_a_minute() {
        for error in [DeliveryError::Permanent("no".into()), DeliveryError::Doubtful("a".into())] {
            assert_eq!(pauses(&error, 1).await, [MINUTE]);
        }
    }

    #[tokio::test]
    async fn a_destination_sets_a_pause_of_up_to_a_minute() {
        let asked = Duration::from_secs(20);
        assert_eq!(pauses(&away(Some(asked)), 1).await, [asked]);
        assert_eq!(pauses(&away(Some(10 * MINUTE)), 1).await, [MINUTE]);
    }
}
