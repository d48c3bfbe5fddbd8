//! The broadcast channel of readings, with a way for a recording to wait for the slowest sink.
//!
//! It is [`tokio::sync::broadcast`]: a live source publishes and never waits, and a subscriber that
//! falls behind is told how many readings it missed. A recording waits for room before it
//! publishes, so that nobody falls behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use energi_decoders::Reading;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

/// Readings that the channel holds for its slowest subscriber: hours of one device, and most of a
/// second of 20,000 frames/s. Full, they take about 4 MB.
pub const CAPACITY: usize = 16_384;

/// How many readings are published between two looks at the slowest subscriber.
const STRIDE: usize = CAPACITY / 4;

/// The sending end, held by the one thread that captures.
#[derive(Debug)]
pub struct Publisher {
    sender: broadcast::Sender<Arc<Reading>>,
    room: Arc<Room>,
    /// Readings that may be published before the next look.
    credit: usize,
    closing: watch::Sender<bool>,
}

/// Where a publisher waits for its subscribers to catch up.
#[derive(Debug, Default)]
struct Room {
    awaited: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Room {
    fn changed(&self) {
        if self.awaited.load(Ordering::SeqCst) {
            let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.changed.notify_one();
        }
    }
}

impl Default for Publisher {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(CAPACITY),
            room: Arc::default(),
            credit: 0,
            closing: watch::Sender::new(false),
        }
    }
}

impl Publisher {
    /// The handle by which the rest of the gateway takes part in the channel.
    #[must_use]
    pub fn hub(&self) -> Hub {
        Hub {
            sender: self.sender.downgrade(),
            room: Arc::clone(&self.room),
            closing: self.closing.clone(),
        }
    }

    /// Publishes at once. A subscriber that is [`CAPACITY`] behind misses its oldest reading.
    pub fn publish(&self, reading: Arc<Reading>) {
        // Without a subscriber there is nobody to tell: the counters show it.
        let _ = self.sender.send(reading);
    }

    /// Waits until a reading can be published without any subscriber missing one, for as long as
    /// `patient` says. Returns whether there is room.
    pub fn wait_for_room(&mut self, patient: impl Fn() -> bool) -> bool {
        if self.credit > 0 {
            self.credit -= 1;
            return true;
        }
        self.room.awaited.store(true, Ordering::SeqCst);
        let mut guard = self.room.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let free = loop {
            if self.sender.len() + STRIDE <= CAPACITY {
                break true;
            }
            if !patient() {
                break false;
            }
            // The wait ends by itself now and then, to ask whether to go on waiting.
            guard = self
                .room
                .changed
                .wait_timeout(guard, Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        self.room.awaited.store(false, Ordering::SeqCst);
        if free {
            self.credit = STRIDE - 1;
        }
        free
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Its hubs may outlive it.
        self.closing.send_replace(true);
    }
}

/// Makes subscriptions, and closes the channel where its publisher cannot: a thread that blocks
/// on its input may hold it forever.
#[derive(Debug, Clone)]
pub struct Hub {
    sender: broadcast::WeakSender<Arc<Reading>>,
    room: Arc<Room>,
    closing: watch::Sender<bool>,
}

impl Hub {
    /// A subscription to everything published from now on; `None` once the publisher has gone.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscription> {
        Some(Subscription {
            receiver: self.sender.upgrade()?.subscribe(),
            room: Arc::clone(&self.room),
            closing: self.closing.subscribe(),
        })
    }

    /// Ends every subscription once it has given what it holds.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// The receiving end, one a sink.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Reading>>,
    room: Arc<Room>,
    closing: watch::Receiver<bool>,
}

/// What a subscription gives.
#[derive(Debug)]
pub enum Delivery {
    /// The next reading.
    Reading(Arc<Reading>),
    /// The subscriber was too slow: so many readings are gone.
    Lagged(u64),
    /// Nothing will come any more.
    Closed,
}

impl Subscription {
    /// Waits for the next reading.
    pub async fn next(&mut self) -> Delivery {
        let received = tokio::select! {
            biased;
            received = self.receiver.recv() => Some(received),
            // An error means that nobody is left to close it, which closes as well.
            _ = self.closing.wait_for(|closing| *closing) => None,
        };
        match received {
            Some(Ok(reading)) => Delivery::Reading(reading),
            Some(Err(RecvError::Lagged(missed))) => Delivery::Lagged(missed),
            Some(Err(RecvError::Closed)) => Delivery::Closed,
            None => self.try_next().unwrap_or(Delivery::Closed),
        }
    }

    /// The next reading if one is there; `None` if not.
    pub fn try_next(&mut self) -> Option<Delivery> {
        match self.receiver.try_recv() {
            Ok(reading) => Some(Delivery::Reading(reading)),
            Err(TryRecvError::Lagged(missed)) => Some(Delivery::Lagged(missed)),
            Err(TryRecvError::Closed) => Some(Delivery::Closed),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// Waits until the hub has closed the channel, or the publisher has gone.
    pub async fn closing(&self) {
        let mut closing = self.closing.clone();
        // An error means that nobody is left to close it.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Whether the hub has closed the channel, or the publisher has gone.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Lets a waiting publisher look again. Called after readings were taken.
    pub fn taken(&self) {
        self.room.changed();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A subscriber that has gone holds nobody back any more, once its receiver is dropped
        // too; the publisher's own timer covers the moment between.
        self.room.changed();
    }
}
