//! `postgres`: every value as a row of a `PostgreSQL` table, and the daily energy of a history, by way
//! of the engine's queue on disk ([`crate::runner::Queued`]).
//!
//! A batch is copied into a temporary table and inserted from there in one transaction. The primary
//! key is (serial, time, packet, key): what is sent twice is stored once.
//!
//! A role that may create tables makes them, under an advisory lock. Any other needs `INSERT` on
//! `reading`, `SELECT` on `energi_schema`, and `SELECT`, `INSERT` and `UPDATE` on `daily_energy`.

mod client;
mod config;
mod daily;
mod failure;

use async_trait::async_trait;

use crate::runner::{Dispatcher, Queued, QueuedOptions};
use crate::settings::{Problem, QueueOptions};
use crate::sink::{Context, Sink, SinkConfig, SinkError};

pub use client::PostgresClient;
pub use config::PostgresConfig;

/// Name of the items in messages.
const ITEMS: &str = "readings";

#[async_trait]
impl SinkConfig for PostgresConfig {
    fn named(&mut self, name: &str) {
        self.queue.named(name);
    }

    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    fn queue(&self) -> Option<QueueOptions> {
        Some(self.queue.options(ITEMS))
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let client = PostgresClient::new(self.clone(), context);
        let options = QueuedOptions {
            queue: self.queue.options(ITEMS),
            batch_size: self.batch_size,
            flush_interval: self.flush_interval.duration(),
        };
        Ok(Box::new(Queued::open(client, options, context).await?))
    }

    async fn probe(&self, context: &Context) -> Result<String, SinkError> {
        Queued::probe(&PostgresClient::new(self.clone(), context), &self.queue.path).await
    }
}

impl PostgresConfig {
    /// A way to the server for readings of the past, past the queue: they are on a disk already.
    #[must_use]
    pub fn backfill(&self, context: &Context) -> Dispatcher<PostgresClient> {
        let config = Self { history: None, ..self.clone() };
        Dispatcher::new(context.name.clone(), PostgresClient::new(config, context), ITEMS)
    }
}
