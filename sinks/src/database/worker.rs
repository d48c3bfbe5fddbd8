//! The thread that owns a database: SQLite waits for disks, and nothing else may wait with it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Refusal, StoreError};
use super::migrate::Schema;
use super::open::DatabaseFile;
use crate::sink::SinkError;

/// An open database as its owner works on it.
pub(crate) trait Database: Sized + 'static {
    /// Returns the connection, for upkeep.
    fn connection(&mut self) -> &mut Connection;

    /// Goes on in a new database, since the old one turned out to be damaged.
    ///
    /// # Errors
    /// [`StoreError`] where the new one cannot be used either.
    fn replace(&mut self, connection: Connection) -> Result<(), StoreError>;

    /// Puts the log's content into the file, and lets go of it.
    ///
    /// # Errors
    /// [`StoreError`] where SQLite cannot.
    fn close(self) -> Result<(), StoreError>;
}

/// A handle on the thread, which does one job after the other. All clones are one; without one the
/// thread ends and closes the database.
pub(crate) struct Worker<D> {
    path: Arc<Path>,
    jobs: mpsc::Sender<Job<D>>,
}

/// Something to do, which gives the database back unless that is its end.
type Job<D> = Box<dyn FnOnce(OwnedDatabase<D>) -> Option<OwnedDatabase<D>> + Send>;

/// A database that this thread alone writes to.
struct OwnedDatabase<D> {
    // Before the file, whose lock allows its connection.
    store: D,
    file: DatabaseFile,
}

impl<D: Database> Worker<D> {
    /// Opens the database at `path`, or makes one, on a thread of its own.
    ///
    /// # Errors
    /// [`SinkError`] says why the file cannot be used, and what to do.
    pub(crate) async fn start(
        thread: &str,
        path: &Path,
        schema: &'static Schema,
        open: impl FnOnce(Connection) -> Result<D, StoreError> + Send + 'static,
    ) -> Result<Self, SinkError> {
        // One job waits at most: who has work for a slow disk must wait too.
        let (jobs, mut inbox) = mpsc::channel::<Job<D>>(1);
        let worker = Self { path: path.into(), jobs };
        let (opened, answer) = oneshot::channel();
        let path = Arc::clone(&worker.path);
        std::thread::Builder::new()
            .name(thread.to_owned())
            .spawn(move || {
                let mut database = match OwnedDatabase::open(&path, schema, open) {
                    Ok(database) => database,
                    Err(error) => {
                        let _unwanted = opened.send(Err(error.into_sink_error(&path)));
                        return;
                    }
                };
                let _unwanted = opened.send(Ok(()));
                while let Some(job) = inbox.blocking_recv() {
                    let Some(next) = job(database) else { return };
                    database = next;
                }
            })
            .map_err(|error| SinkError::transient(format!("no thread for SQLite: {error}")))?;
        answer.await.unwrap_or_else(|_| Err(worker.gone()))?;
        Ok(worker)
    }

    /// The database file.
    #[cfg(feature = "queue")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs work on the store in the thread: a second time where the first found no room that a
    /// checkpoint gives, or found the file damaged, in a new one then.
    ///
    /// # Errors
    /// [`SinkError`]. After a permanent one the database is closed.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        work: impl Fn(&mut D) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, SinkError> {
        let (sender, answer) = oneshot::channel();
        let path = Arc::clone(&self.path);
        let job: Job<D> = Box::new(move |mut database| {
            let result = database.work(work).map_err(|error| error.into_sink_error(&path));
            // The sink is opened again once a permanent failure is known: let go of the lock before.
            let broken = matches!(result, Err(SinkError::Permanent(_)));
            let database = (!broken).then_some(database);
            let _unwanted = sender.send(result);
            database
        });
        self.jobs.send(job).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Gives the thread something to do that nobody waits for.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn tell(&self, work: impl FnOnce(&mut D) + Send + 'static) {
        let job: Job<D> = Box::new(move |mut database| {
            work(&mut database.store);
            Some(database)
        });
        // A thread that has ended has nothing to do.
        let _ended = self.jobs.send(job).await;
    }

    /// Closes the database, unless a failure has. Other handles find it gone.
    ///
    /// # Errors
    /// [`SinkError`] where SQLite cannot.
    pub(crate) async fn close(&self) -> Result<(), SinkError> {
        if self.jobs.is_closed() {
            return Ok(());
        }
        let (sender, answer) = oneshot::channel();
        let path = Arc::clone(&self.path);
        let job: Job<D> = Box::new(move |OwnedDatabase { store, file }| {
            let closed = store.close().map_err(|error| error.into_sink_error(&path));
            drop(file);
            let _unwanted = sender.send(closed);
            None
        });
        self.jobs.send(job).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> SinkError {
        SinkError::permanent(format!("{}: it was closed; it is opened again", self.path.display()))
    }
}

impl<D: Database> OwnedDatabase<D> {
    fn open(
        path: &Path,
        schema: &'static Schema,
        open: impl FnOnce(Connection) -> Result<D, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut file = DatabaseFile::claim(path, schema)?;
        Ok(Self { store: open(file.open()?)?, file })
    }

    fn work<R>(&mut self, work: impl Fn(&mut D) -> Result<R, StoreError>) -> Result<R, StoreError> {
        if !self.file.is_in_place() {
            // Where it was only moved, what is in its log goes with it: SQLite leaves the log of a
            // file that is not in its place.
            let _gone = self.checkpoint();
            return Err(Refusal::Replaced.into());
        }
        match work(&mut self.store) {
            Err(error) if error.is_full() => {
                // The log may hold room that the file itself has no use for.
                let _full = self.checkpoint();
                work(&mut self.store)
            }
            Err(error) if error.is_corruption() => {
                let connection = self.file.open_again(&error)?;
                self.store.replace(connection)?;
                work(&mut self.store)
            }
            other => other,
        }
    }

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        self.store.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

impl<D> Clone for Worker<D> {
    fn clone(&self) -> Self {
        Self { path: Arc::clone(&self.path), jobs: self.jobs.clone() }
    }
}

impl<D> fmt::Debug for Worker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("path", &self.path).finish_non_exhaustive()
    }
}
