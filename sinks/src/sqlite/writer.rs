//! The writer of the history, and the upkeep between its batches.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use tracing::warn;

use super::log_size::LogSize;
use super::retention::{BatchTimes, RetentionSweep};
use super::schema::SCHEMA;
use super::store::{RollupPace, Store};
use crate::database::{Database, StoreError, Worker};
use crate::sink::SinkError;

/// Time for the removal of old readings at the start and at the end.
const SWEEP: Duration = Duration::from_secs(2);

/// Options of the writer.
#[derive(Debug)]
pub(super) struct WriterOptions {
    /// The database file.
    pub(super) path: PathBuf,
    /// Time zone in which days begin.
    pub(super) timezone: TimeZone,
    /// Time for which readings are kept.
    pub(super) keep: Duration,
    /// Moment when readings are rolled up.
    pub(super) pace: RollupPace,
}

/// A handle on the thread. Without a handle the thread ends, and closes the database.
#[derive(Debug)]
pub(super) struct Writer(Worker<OpenHistory>);

impl Writer {
    /// Starts the thread; returns when the database is open.
    pub(super) async fn start(options: WriterOptions) -> Result<Self, SinkError> {
        let WriterOptions { path, timezone, keep, pace } = options;
        let open = move |connection| OpenHistory::new(connection, timezone, keep, pace);
        Worker::start("sqlite", &path, &SCHEMA, open).await.map(Self)
    }

    /// Commits a batch; on an error nothing of it is stored.
    pub(super) async fn write(&self, batch: Arc<[Arc<Reading>]>) -> Result<(), SinkError> {
        let written = Arc::clone(&batch);
        self.0.ask(move |history| history.store.write(&batch)).await?;
        self.0.tell(move |history| history.tidy(&written)).await;
        Ok(())
    }

    /// Closes the database, unless a failure has.
    pub(super) async fn close(&self) -> Result<(), SinkError> {
        self.0.tell(OpenHistory::finish).await;
        self.0.close().await
    }
}

struct OpenHistory {
    store: Store,
    retention: RetentionSweep,
    timezone: TimeZone,
    pace: RollupPace,
    log: LogSize,
}

impl Database for OpenHistory {
    fn connection(&mut self) -> &mut Connection {
        self.store.connection()
    }

    fn replace(&mut self, connection: Connection) -> Result<(), StoreError> {
        self.store = Store::new(connection, self.timezone.clone(), self.pace)?;
        Ok(())
    }

    fn close(self) -> Result<(), StoreError> {
        self.store.close()
    }
}

impl OpenHistory {
    fn new(
        connection: Connection,
        timezone: TimeZone,
        keep: Duration,
        pace: RollupPace,
    ) -> Result<Self, StoreError> {
        let store = Store::new(connection, timezone.clone(), pace)?;
        let (retention, log) = (RetentionSweep::new(keep), LogSize::default());
        let mut history = Self { store, retention, timezone, pace, log };
        history.sweep();
        Ok(history)
    }

    /// Rolls up what waits, and removes what is old.
    fn finish(&mut self) {
        // What cannot be rolled up now is marked, and the next start does so.
        self.store.roll_up().unwrap_or_else(|error| warn!("energy is not up to date: {error}"));
        self.sweep();
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
            let needed = self.store.needed_from();
            let connection = self.store.connection();
            let result = self.retention.after_batch(connection, times, batch.len(), needed);
            result.unwrap_or_else(|error| warn!("old readings are not removed: {error}"));
        }
        self.log.tidy(self.store.connection());
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::database::DatabaseFile;
    use support::readings::Device;

    fn count(history: &mut OpenHistory, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        history.store.connection().query_row(&count, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_the_quarter_hour_in_progress_is_pending() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = DatabaseFile::claim(&directory.path().join("energi.db"), &SCHEMA).unwrap();
        let connection = file.open().unwrap();
        let keep = Duration::from_hours(24);
        let mut history =
            OpenHistory::new(connection, TimeZone::UTC, keep, RollupPace::Live).unwrap();
        let start = "2026-01-20T10:00:00Z".parse().unwrap();
        let readings = Device::default().life(start, SignedDuration::from_hours(3));
        history.store.write(&readings).unwrap();
        assert_eq!(count(&mut history, "pending"), 1);
        history.finish();
        assert_eq!(count(&mut history, "pending"), 0);
    }

    #[test]
    fn a_full_disk_leaves_no_batch_half_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("energi.db");
        let open = |name: &str| {
            let mut file = DatabaseFile::claim(&directory.path().join(name), &SCHEMA).unwrap();
            let connection = file.open().unwrap();
            OpenHistory::new(connection, TimeZone::UTC, Duration::from_hours(24), RollupPace::Live)
                .unwrap()
        };
        let start = "2026-01-20T10:00:00Z".parse().unwrap();
        let readings = Device::default().life(start, SignedDuration::from_hours(3));
        let mut history = open("energi.db");
        let (first, second) = readings.split_at(1_000);
        history.store.write(first).unwrap();
        let tables = ["reading", "minute", "energy_point", "energy_quarter", "coverage"];
        let before = tables.map(|table| count(&mut history, table));

        let pages: i64 = history
            .store
            .connection()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        let limit = |history: &mut OpenHistory, pages: i64| {
            let connection = history.store.connection();
            connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        limit(&mut history, pages + 5);
        for _ in 0..2 {
            let error = history.store.write(second).unwrap_err().into_sink_error(&path);
            assert!(
                matches!(&error, SinkError::Transient { message: text, .. } if text.contains("make room"))
            );
            assert_eq!(tables.map(|table| count(&mut history, table)), before);
        }
        limit(&mut history, 1_000_000);
        history.store.write(second).unwrap();

        let mut expected = open("expected.db");
        expected.store.write(&readings).unwrap();
        for table in tables {
            assert_eq!(count(&mut history, table), count(&mut expected, table), "{table}");
        }
    }
}
