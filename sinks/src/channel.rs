//! The broadcast channel of readings, and that of captured frames where a sink takes those; with a way
//! for a recording to wait for the slowest sink.
//!
//! It is [`tokio::sync::broadcast`]: a live source publishes and never waits, and a subscriber that
//! falls behind is told how many items it missed. A recording waits for room before it
//! publishes, so that nobody falls behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use energi_decoders::Reading;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use crate::item::Item;

/// Items that the channel holds for its slowest subscriber: hours of one device, and most of a
/// second of 20,000 frames/s. Full, they take about 4 MB.
pub const CAPACITY: usize = 16_384;

/// Number of items published between two looks at the slowest subscriber.
const STRIDE: usize = CAPACITY / 4;

/// The sending end, held by the one thread that captures.
#[derive(Debug)]
pub struct Publisher<T = Reading> {
    sender: broadcast::Sender<Arc<T>>,
    room: Arc<Room>,
    /// Items that may be published before the next look.
    credit: usize,
    closing: watch::Sender<bool>,
}

/// Place where a publisher waits for its subscribers to catch up.
#[derive(Debug, Default)]
struct Room {
    /// Items that were published.
    published: AtomicU64,
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

impl<T: Item> Default for Publisher<T> {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl<T: Item> Publisher<T> {
    /// A channel that holds so many readings for its slowest subscriber. One of less than
    /// [`CAPACITY`] is for a source that does not wait for room.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            sender: broadcast::Sender::new(capacity),
            room: Arc::default(),
            credit: 0,
            closing: watch::Sender::new(false),
        }
    }

    /// The handle by which the rest of the gateway takes part in the channel.
    #[must_use]
    pub fn hub(&self) -> Hub<T> {
        Hub {
            sender: self.sender.downgrade(),
            room: Arc::clone(&self.room),
            closing: self.closing.clone(),
        }
    }

    /// Publishes at once. A subscriber that is [`CAPACITY`] behind misses its oldest item.
    pub fn publish(&self, item: Arc<T>) {
        // Without a subscriber there is nobody to tell: the counters show it.
        let _ = self.sender.send(item);
        self.room.published.fetch_add(1, Ordering::Release);
    }

    /// Waits until an item can be published without any subscriber missing one, for as long as
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

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        // Its hubs may outlive it.
        self.closing.send_replace(true);
    }
}

/// Makes subscriptions, and closes the channel where its publisher cannot: a thread that blocks
/// on its input may hold it forever.
#[derive(Debug, Clone)]
pub struct Hub<T = Reading> {
    sender: broadcast::WeakSender<Arc<T>>,
    room: Arc<Room>,
    closing: watch::Sender<bool>,
}

impl<T: Item> Hub<T> {
    /// A subscription to everything published from now on; `None` once the publisher has gone.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscription<T>> {
        Some(Subscription {
            receiver: self.sender.upgrade()?.subscribe(),
            position: self.published(),
            room: Arc::clone(&self.room),
            closing: self.closing.subscribe(),
        })
    }

    /// Number of items that were published: the position of the newest one.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.room.published.load(Ordering::Acquire)
    }

    /// Ends every subscription once it has given what it holds.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// The receiving end, one a sink.
#[derive(Debug)]
pub struct Subscription<T = Reading> {
    receiver: broadcast::Receiver<Arc<T>>,
    position: u64,
    room: Arc<Room>,
    closing: watch::Receiver<bool>,
}

/// Next item of a subscription.
#[derive(Debug)]
pub enum Delivery<T = Reading> {
    /// The next item.
    Item(Arc<T>),
    /// The subscriber was too slow: so many items are gone.
    Lagged(u64),
    /// Nothing will come any more.
    Closed,
}

impl<T: Item> Subscription<T> {
    /// Waits for the next item.
    pub async fn next(&mut self) -> Delivery<T> {
        let received = tokio::select! {
            biased;
            received = self.receiver.recv() => Some(received),
            // An error means that nobody is left to close it, which closes as well.
            _ = self.closing.wait_for(|closing| *closing) => None,
        };
        match received {
            Some(Ok(item)) => self.item(item),
            Some(Err(RecvError::Lagged(missed))) => self.lagged(missed),
            Some(Err(RecvError::Closed)) => Delivery::Closed,
            None => self.try_next().unwrap_or(Delivery::Closed),
        }
    }

    /// The next item if one is there; `None` if not.
    pub fn try_next(&mut self) -> Option<Delivery<T>> {
        match self.receiver.try_recv() {
            Ok(item) => Some(self.item(item)),
            Err(TryRecvError::Lagged(missed)) => Some(self.lagged(missed)),
            Err(TryRecvError::Closed) => Some(Delivery::Closed),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn item(&mut self, item: Arc<T>) -> Delivery<T> {
        self.position += 1;
        Delivery::Item(item)
    }

    fn lagged(&mut self, missed: u64) -> Delivery<T> {
        self.position += missed;
        Delivery::Lagged(missed)
    }

    /// Position of the item that was given or missed last, as [`Hub::published`] counts.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits until the hub has closed the channel, or the publisher has gone.
    pub async fn closing(&self) {
        let mut closing = self.closing.clone();
        // An error means that nobody is left to close it.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Returns whether the hub has closed the channel, or the publisher has gone.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Lets a waiting publisher look again. Called after items were taken.
    pub fn taken(&self) {
        self.room.changed();
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        // A subscriber that has gone holds nobody back any more, once its receiver is dropped
        // too; the publisher's own timer covers the moment between.
        self.room.changed();
    }
}
