//! `influxdb`: every reading as a point on an InfluxDB 2 server, or another that takes its write
//! API, by way of the engine's queue on disk ([`crate::runner::Queued`]).
//!
//! The same point twice is one point to InfluxDB; to `VictoriaMetrics` it is two of one time, unless
//! that runs with `-dedup.minScrapeInterval=1ms`.
//!
//! **Responses.** Any 2xx that is no page: accepted. 400: one of the points is invalid. 413: too
//! large. 422, and 400 with `partial write`: accepted in part; what was left out is counted and
//! logged. 401, 403, 404 and what no InfluxDB answers: everything waits, and is tried once a minute.
//! 429, 5xx and no answer: tried again after a pause that grows to a minute.

mod client;
mod config;
pub mod line_protocol;
mod packer;
mod response;

use async_trait::async_trait;

use crate::runner::{Dispatcher, Queued, QueuedOptions};
use crate::settings::{Problem, QueueOptions};
use crate::sink::{Context, Sink, SinkConfig, SinkError};

pub use client::InfluxdbClient;
pub use config::{InfluxdbConfig, ProxyConfig};

/// Name of the items in messages.
const ITEMS: &str = "points";

#[async_trait]
impl SinkConfig for InfluxdbConfig {
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
        let client = InfluxdbClient::new(self.clone(), context).await;
        let options = QueuedOptions {
            queue: self.queue.options(ITEMS),
            batch_size: self.batch_size,
            flush_interval: self.flush_interval.duration(),
        };
        Ok(Box::new(Queued::open(client, options, context).await?))
    }

    async fn probe(&self, context: &Context) -> Result<String, SinkError> {
        let client = InfluxdbClient::new(self.clone(), context).await;
        Queued::probe(&client, &self.queue.path).await
    }
}

impl InfluxdbConfig {
    /// A way to the server for points of the past, past the queue: they are on a disk already.
    pub async fn backfill(&self, context: &Context) -> Dispatcher<InfluxdbClient> {
        let client = InfluxdbClient::new(self.clone(), context).await;
        Dispatcher::new(context.name.clone(), client, ITEMS)
    }
}
