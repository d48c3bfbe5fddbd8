//! The thread that keeps an outbox: SQLite waits for disks, and nothing else may wait with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::schema::SCHEMA;
use super::store::Store;
use super::{Counts, Plan};
use crate::database::{DatabaseFile, Refusal, StoreError};
use crate::sink::SinkError;

/// Something to do, which gives the vault back unless that is its end.
pub(super) type Job = Box<dyn FnOnce(Vault) -> Option<Vault> + Send>;

/// A database that this thread alone writes to.
#[derive(Debug)]
pub(super) struct Vault {
    plan: Plan,
    counts: Arc<Counts>,
    store: Store,
    file: DatabaseFile,
    /// Whether items have been dropped since the queue was last empty.
    full: bool,
    /// How many items had been dropped before that.
    dropped_before: u64,
}

/// Opens the vault and does one job after the other, until one ends it or nobody has any.
pub(super) fn run(
    plan: Plan,
    counts: Arc<Counts>,
    opened: oneshot::Sender<Result<(), SinkError>>,
    mut inbox: mpsc::Receiver<Job>,
) {
    let path = plan.path.clone();
    let mut vault = match Vault::open(plan, counts) {
        Ok(vault) => vault,
        Err(error) => {
            let _nobody_waits = opened.send(Err(error.into_sink_error(&path)));
            return;
        }
    };
    let _nobody_waits = opened.send(Ok(()));
    while let Some(job) = inbox.blocking_recv() {
        let Some(next) = job(vault) else { return };
        vault = next;
    }
}

impl Vault {
    fn open(plan: Plan, counts: Arc<Counts>) -> Result<Self, StoreError> {
        let mut file = DatabaseFile::claim(&plan.path, &SCHEMA)?;
        let store = Store::new(file.open()?, plan.max_bytes)?;
        let vault = Self { plan, counts, store, file, full: false, dropped_before: 0 };
        vault.count();
        Ok(vault)
    }

    /// Works on the store, in a new one where the file turns out to be damaged.
    pub(super) fn work<R>(
        &mut self,
        work: impl Fn(&mut Store) -> Result<R, StoreError>,
    ) -> Result<R, SinkError> {
        let result = self.try_work(work).map_err(|error| error.into_sink_error(&self.plan.path));
        self.count();
        self.say_dropped();
        result
    }

    /// Lets go of the file.
    pub(super) fn close(self) -> Result<(), SinkError> {
        self.store.close().map_err(|error| error.into_sink_error(&self.plan.path))
    }

    fn try_work<R>(
        &mut self,
        work: impl Fn(&mut Store) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        if !self.file.is_in_place() {
            // Where it was only moved, what is in its log goes with it: SQLite leaves the log of a
            // file that is not in its place.
            let _gone = self.store.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            return Err(Refusal::Replaced.into());
        }
        match work(&mut self.store) {
            Err(error) if error.is_full() => {
                // The log may hold room that the file itself has no use for.
                let _full =
                    self.store.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
                work(&mut self.store)
            }
            Err(error) if error.is_corruption() => {
                self.store.begin_anew(self.file.open_anew(&error)?)?;
                work(&mut self.store)
            }
            other => other,
        }
    }

    fn count(&self) {
        self.counts.waiting.store(self.store.waiting(), Ordering::Relaxed);
        self.counts.dropped.store(self.store.dropped(), Ordering::Relaxed);
    }

    /// Says once that the oldest are dropped, and how many they were when nothing waits any more.
    fn say_dropped(&mut self) {
        let dropped = self.store.dropped() - self.dropped_before;
        let (file, items) = (self.plan.path.display(), self.plan.items);
        if !self.full && dropped > 0 {
            self.full = true;
            warn!(
                "{file}: the queue is full ({}): the oldest {items} are dropped for new ones; \
                 `max_bytes` says how much may wait",
                self.plan.max_bytes
            );
        } else if self.full && self.store.waiting() == 0 {
            self.full = false;
            self.dropped_before += dropped;
            info!(dropped, "{file}: the queue is empty; there had been no room for all {items}");
        }
    }
}
