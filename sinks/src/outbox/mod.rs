//! An outbox: what a destination has not confirmed yet waits here on disk, a SQLite database, for
//! as long as it takes.
//!
//! - **Kept.** [`Outbox::push`] returns when the parcel is on the disk: neither `kill -9` nor a power
//!   cut takes it away. One commit a parcel.
//! - **Oldest first.** [`Outbox::oldest`] gives the parcels in the order in which they came, as many
//!   as make a good delivery and no more, so memory stays flat however much waits.
//! - **At least once.** [`Outbox::settle`] forgets what was delivered. That need not be on the disk
//!   when it returns: a power cut brings a delivered parcel back at worst, to be delivered again.
//! - **Bounded.** The file never holds more than it may; the oldest parcels go first, counted and
//!   said. Its write-ahead log comes on top, some MiB.
//! - **Poison is set aside.** What a destination will never take goes to a table of its own with the
//!   destination's words, the newest [`MOST_ASIDE`] of them, in an eighth of the room at most.
//!
//! A thread of its own does the work, since disks may block. A full disk is an error of `push` and
//! nothing worse: what waits stays, and can be delivered.

mod inspect;
mod schema;
mod store;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::database::StoreError;
use crate::settings::Size;
use crate::sink::SinkError;

pub use inspect::{Status, probe, purge, status};
pub use schema::{APPLICATION_ID, VERSION};
pub use store::MOST_ASIDE;

use store::Store;
use vault::{Job, Vault};

/// Where an outbox is, and how much it may hold.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The database file.
    pub path: PathBuf,
    /// How large it may grow.
    pub max_bytes: Size,
    /// What is in the parcels, for messages: `points`, say.
    pub items: &'static str,
}

/// What goes in, and out, in one piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    /// The items, in a form in which those of several parcels can be joined.
    pub text: String,
    /// How many there are.
    pub items: usize,
}

/// The oldest parcels, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What is in them.
    pub parcel: Parcel,
    /// The last of them.
    pub through: Ticket,
}

/// The place of a parcel in the queue. The default is before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ticket(i64);

/// An item that the destination will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// When that was found out.
    pub time: Timestamp,
    /// The item.
    pub item: String,
    /// What the destination said.
    pub reason: String,
}

/// What is counted, in items.
#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicU64,
    dropped: AtomicU64,
}

/// An open outbox, which no other process may open. All clones are one; without one it is closed.
#[derive(Debug, Clone)]
pub struct Outbox {
    path: Arc<Path>,
    jobs: mpsc::Sender<Job>,
    counts: Arc<Counts>,
}

impl Outbox {
    /// Opens it, or makes it where there is none.
    ///
    /// # Errors
    /// [`SinkError`] says why the file cannot be used, and what to do.
    pub async fn open(plan: Plan) -> Result<Self, SinkError> {
        let (jobs, inbox) = mpsc::channel(1);
        let counts = Arc::<Counts>::default();
        let outbox = Self { path: plan.path.as_path().into(), jobs, counts: Arc::clone(&counts) };
        let (opened, open) = oneshot::channel();
        std::thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || vault::run(plan, counts, opened, inbox))
            .map_err(|error| SinkError::transient(format!("no thread for the outbox: {error}")))?;
        open.await.unwrap_or_else(|_| Err(outbox.gone()))?;
        Ok(outbox)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many items wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.counts.waiting.load(Ordering::Relaxed)
    }

    /// How many items were dropped for want of room since it was opened.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Puts a parcel at the end. When this returns it is on the disk.
    ///
    /// # Errors
    /// [`SinkError::Transient`] where the disk does not take it now; nothing else has changed.
    pub async fn push(&self, parcel: Parcel) -> Result<(), SinkError> {
        let now = Timestamp::now();
        self.ask(move |store| store.push(&parcel, now)).await
    }

    /// The oldest parcels behind `after`: as many as hold `items` items at most, one at least;
    /// `None` where there is none.
    ///
    /// # Errors
    /// [`SinkError`] where the file cannot be read.
    pub async fn oldest(&self, after: Ticket, items: usize) -> Result<Option<Bundle>, SinkError> {
        self.ask(move |store| store.oldest(after, items)).await
    }

    /// Forgets the parcels up to `through`, which are dealt with, and sets items of them aside.
    ///
    /// # Errors
    /// [`SinkError`] where the disk does not take it now; nothing has changed.
    pub async fn settle(&self, through: Ticket, aside: Vec<Aside>) -> Result<(), SinkError> {
        self.ask(move |store| store.settle(through, &aside)).await
    }

    /// Closes the file. Other handles find it gone.
    ///
    /// # Errors
    /// [`SinkError`] where SQLite does.
    pub async fn close(&self) -> Result<(), SinkError> {
        if self.jobs.is_closed() {
            return Ok(());
        }
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(|vault: Vault| {
            let _nobody_waits = sender.send(vault.close());
            None
        });
        self.jobs.send(job).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Has the thread do something, a second time where the first found the file damaged and a new
    /// one was begun.
    async fn ask<R: Send + 'static>(
        &self,
        work: impl Fn(&mut Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, SinkError> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |mut vault: Vault| {
            let result = vault.work(work);
            let broken = matches!(result, Err(SinkError::Permanent(_)));
            // It is opened anew once that is known: let go of the lock before.
            let vault = (!broken).then_some(vault);
            let _nobody_waits = sender.send(result);
            vault
        });
        self.jobs.send(job).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> SinkError {
        SinkError::permanent(format!("{}: it was closed; it is opened anew", self.path.display()))
    }
}
