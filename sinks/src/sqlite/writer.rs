//! The thread that writes: SQLite waits for disks, and nothing else may wait with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use energi_decoders::Reading;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::retention::{BatchTimes, RetentionSweep};
use super::schema::SCHEMA;
use super::store::Store;
use crate::database::{DatabaseFile, Refusal, StoreError};
use crate::sink::SinkError;

/// How long old readings are removed for at the start and at the end.
const SWEEP: Duration = Duration::from_secs(2);

/// What a writer needs to know.
#[derive(Debug)]
pub(super) struct WriterOptions {
    /// The database file.
    pub(super) path: PathBuf,
    /// Where days begin.
    pub(super) timezone: TimeZone,
    /// How long readings are kept.
    pub(super) keep: Duration,
}

/// What the thread is asked.
enum Job {
    Write(Arc<[Arc<Reading>]>),
    Close,
}

type Answer = Result<(), SinkError>;

/// A handle on the thread. Without a handle the thread ends, and closes the database.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    jobs: mpsc::Sender<(Job, oneshot::Sender<Answer>)>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; returns when the database is open.
    pub(super) async fn start(options: WriterOptions) -> Result<Self, SinkError> {
        let path = options.path.clone();
        let (jobs, inbox) = mpsc::channel(1);
        let (opened, open) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || run(options, opened, inbox))
            .map_err(|error| SinkError::transient(format!("no thread for SQLite: {error}")))?;
        let writer = Self { path, jobs, thread: Some(thread) };
        open.await.unwrap_or_else(|_| Err(writer.gone()))?;
        Ok(writer)
    }

    /// Commits a batch; on an error nothing of it is stored.
    pub(super) async fn write(&self, batch: Arc<[Arc<Reading>]>) -> Answer {
        self.ask(Job::Write(batch)).await
    }

    /// Closes the database, unless a failure has.
    pub(super) async fn close(&mut self) -> Answer {
        if !self.jobs.is_closed() {
            self.ask(Job::Close).await?;
        }
        if let Some(thread) = self.thread.take() {
            // It answered, and ends.
            let _panicked = thread.join();
        }
        Ok(())
    }

    async fn ask(&self, job: Job) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.jobs.send((job, sender)).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> SinkError {
        SinkError::permanent(format!("{}: the thread that writes has ended", self.path.display()))
    }
}

fn run(
    options: WriterOptions,
    opened: oneshot::Sender<Answer>,
    mut inbox: mpsc::Receiver<(Job, oneshot::Sender<Answer>)>,
) {
    let path = options.path.clone();
    let mut history = match History::open(options) {
        Ok(history) => history,
        Err(error) => {
            let _nobody_waits = opened.send(Err(error.into_sink_error(&path)));
            return;
        }
    };
    let _nobody_waits = opened.send(Ok(()));
    while let Some((job, answer)) = inbox.blocking_recv() {
        match job {
            Job::Write(batch) => match history.write(&batch) {
                Ok(()) => {
                    let _nobody_waits = answer.send(Ok(()));
                    history.tidy(&batch);
                }
                Err(error) => {
                    let error = error.into_sink_error(&path);
                    if matches!(error, SinkError::Permanent(_)) {
                        // It is opened anew once this is known: let go of the lock before.
                        drop(history);
                        let _nobody_waits = answer.send(Err(error));
                        return;
                    }
                    let _nobody_waits = answer.send(Err(error));
                }
            },
            Job::Close => {
                history.sweep();
                let result = history.store.close().map_err(|error| error.into_sink_error(&path));
                let _nobody_waits = answer.send(result);
                return;
            }
        }
    }
}

struct History {
    store: Store,
    retention: RetentionSweep,
    timezone: TimeZone,
    file: DatabaseFile,
}

impl History {
    fn open(options: WriterOptions) -> Result<Self, StoreError> {
        let mut file = DatabaseFile::claim(&options.path, &SCHEMA)?;
        let store = Store::new(file.open()?, options.timezone.clone())?;
        let retention = RetentionSweep::new(options.keep);
        let mut history = Self { store, retention, timezone: options.timezone, file };
        history.sweep();
        Ok(history)
    }

    fn write(&mut self, batch: &[Arc<Reading>]) -> Result<(), StoreError> {
        if !self.file.is_in_place() {
            // Where it was only moved, what is in its log goes with it: SQLite leaves the log of a
            // file that is not in its place.
            let _gone = self.store.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            return Err(Refusal::Replaced.into());
        }
        match self.store.write(batch) {
            Err(error) if error.is_corruption() => {
                let connection = self.file.open_anew(&error)?;
                self.store = Store::new(connection, self.timezone.clone())?;
                self.store.write(batch)
            }
            other => other,
        }
    }

    /// Removes what is old. A failure is no reader's loss: it is tried again with the next batch.
    fn sweep(&mut self) {
        let result = self.retention.sweep(self.store.connection(), SWEEP);
        result.unwrap_or_else(|error| warn!("old readings are not removed: {error}"));
    }

    fn tidy(&mut self, batch: &[Arc<Reading>]) {
        let times = || batch.iter().filter_map(|reading| reading.time);
        if let (Some(oldest), Some(newest)) = (times().min(), times().max()) {
            let times = BatchTimes { oldest, newest };
            let connection = self.store.connection();
            let result = self.retention.after_batch(connection, times, batch.len());
            result.unwrap_or_else(|error| warn!("old readings are not removed: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use support::readings::Device;

    fn count(history: &mut History, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        history.store.connection().query_row(&count, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn nothing_is_lost_and_nothing_half_written_while_the_disk_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("energi.db");
        let open = |name: &str| {
            let path = directory.path().join(name);
            let keep = Duration::from_hours(24);
            History::open(WriterOptions { path, timezone: TimeZone::UTC, keep }).unwrap()
        };
        let start = "2026-01-20T10:00:00Z".parse().unwrap();
        let readings = Device::default().life(start, SignedDuration::from_hours(3));
        let mut history = open("energi.db");
        let (first, second) = readings.split_at(1_000);
        history.write(first).unwrap();
        let tables = ["reading", "minute", "energy_point", "energy_quarter", "coverage"];
        let before = tables.map(|table| count(&mut history, table));

        let pages: i64 = history
            .store
            .connection()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        let limit = |history: &mut History, pages: i64| {
            let connection = history.store.connection();
            connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        limit(&mut history, pages + 5);
        for _ in 0..2 {
            let error = history.write(second).unwrap_err().into_sink_error(&path);
            assert!(
                matches!(&error, SinkError::Transient { message: text, .. } if text.contains("make room"))
            );
            assert_eq!(tables.map(|table| count(&mut history, table)), before);
        }
        limit(&mut history, 1_000_000);
        history.write(second).unwrap();

        let mut expected = open("expected.db");
        expected.write(&readings).unwrap();
        for table in tables {
            assert_eq!(count(&mut history, table), count(&mut expected, table), "{table}");
        }
    }
}
