//! SQLite history: every reading for a while, minute averages and daily energy permanently.
//!
//! One thread writes (`writer`), a transaction a batch (`store`): the readings, and everything that
//! follows from them: minutes, quarter-hours and when a device was received (`rollup`), the points
//! of its counter and the days that these touch ([`daily`]). All of that is a pure function of what
//! is stored, so the same capture twice, or its halves in reverse, give the same result. A change
//! of the time zone recomputes all days (`daily::zone`). Those who read the history go through
//! `reader`, whose SQL stands beside the schema.
//!
//! The file is in WAL mode: readers never wait and never block the writer. Beside it lies
//! `energi.db.lock`, which names the process that writes.

mod changes;
mod config;
pub mod daily;
mod forget;
mod ids;
mod log_size;
mod pending;
mod probe;
mod reader;
mod retention;
mod rollup;
mod savings;
mod schema;
mod store;
mod values;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use energi_decoders::Reading;

use crate::settings::{Period, Problem};
use crate::sink::{
    Backpressure, Batching, Context, Destination, Sink, SinkConfig, SinkError, Written,
};
use crate::timestamp_filter::TimestampFilter;

pub use crate::database::{LockError, ReadError, WriterLock, open_existing, open_for_reading};
pub use config::{Retention, SqliteConfig};
pub use forget::{ForgetError, RemovedRows, forget};
pub use reader::{
    DAILY_ENERGY, DaySelection, History, MinuteMeans, PublicTable, ReadingPages, StoredReading,
    StoredReadings,
};
#[cfg(feature = "web")]
pub(crate) use rollup::metrics::minute_keys;
pub use savings::{Savings, savings};
pub use schema::{APPLICATION_ID, VERSION};

use store::RollupPace;
use writer::{Writer, WriterOptions};

/// A batch of a replay: large enough that the days it touches are seldom computed twice.
const BATCH: usize = 5_000;

#[async_trait]
impl SinkConfig for SqliteConfig {
    fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            problems.push(Problem::new("path", "name a file, such as energi.db"));
        }
        if self.flush_interval > Period::from_secs(3_600) {
            problems.push(Problem::new("flush_interval", "commit once in 1h at least"));
        }
        problems
    }

    fn destination(&self) -> Option<Destination> {
        Some(Destination::file("path", &self.path))
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let options = WriterOptions {
            path: self.path.clone(),
            timezone: context.timezone.clone(),
            keep: self.retention.samples.duration(),
            pace: match context.backpressure {
                Backpressure::Wait => RollupPace::Replay,
                Backpressure::DropOldest => RollupPace::Live,
            },
        };
        Ok(Box::new(Sqlite {
            writer: Writer::start(options).await?,
            timestamp_filter: TimestampFilter::new(context),
            failed: None,
            batching: Batching { readings: BATCH, wait: self.flush_interval.duration() },
        }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        let path = self.path.clone();
        let probed = tokio::task::spawn_blocking(move || probe::probe(&path)).await;
        probed.unwrap_or_else(|error| Err(SinkError::transient(error.to_string())))
    }
}

#[derive(Debug)]
struct Sqlite {
    writer: Writer,
    timestamp_filter: TimestampFilter,
    /// Admitted part of a batch that failed, which will be offered again.
    failed: Option<Arc<[Arc<Reading>]>>,
    batching: Batching,
}

#[async_trait]
impl Sink for Sqlite {
    fn batching(&self) -> Batching {
        self.batching
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let admitted = self.failed.take().unwrap_or_else(|| self.timestamp_filter.admit(batch));
        let delivered = admitted.len();
        let written = Written { delivered, skipped: batch.len().saturating_sub(delivered) };
        if admitted.is_empty() {
            return Ok(written);
        }
        if let Err(error) = self.writer.write(Arc::clone(&admitted)).await {
            self.failed = Some(admitted);
            return Err(error);
        }
        Ok(written)
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.timestamp_filter.close();
        self.writer.close().await
    }
}
