//! `nats`: captured frames into a `JetStream` stream, by way of the engine's queue on disk
//! ([`crate::runner::Queued`]).
//!
//! A batch of frames is one message: a gzipped pcapng, as `energi-gateway record` writes and `replay`
//! reads. Its message id follows from its frames and its subject, so that the server stores a repeated
//! message once. A batch that waited is therefore never joined with another one.
//!
//! Streams are the operator's: nothing here makes one. A gateway at the centre reads them by way of a
//! durable consumer ([`NatsConsumer`]).

mod config;
mod consumer;
mod encoder;
mod server;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use crate::item::CapturedFrame;
use crate::runner::{Queued, QueuedOptions};
use crate::settings::{Problem, QueueOptions};
use crate::sink::{Context, Sink, SinkConfig, SinkError};

pub use config::NatsConfig;
pub use consumer::{Answer, NatsConsumer, NatsConsumerConfig, NatsMessage, NatsReceipt};
pub use encoder::FrameEncoder;
pub use server::{NatsConnection, NatsServer, NatsUrls};

/// Name of the items in messages.
const ITEMS: &str = "frames";

#[async_trait]
impl SinkConfig for NatsConfig {
    fn named(&mut self, name: &str) {
        self.queue.named(name);
    }

    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    fn queue(&self) -> Option<QueueOptions> {
        Some(self.queue.options(ITEMS))
    }

    fn takes_frames(&self) -> bool {
        true
    }

    async fn open(&self, _context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        Err(SinkError::permanent("a `nats` sink takes captured frames, not readings"))
    }

    async fn open_for_frames(
        &self,
        context: &Context,
    ) -> Result<Box<dyn Sink<CapturedFrame>>, SinkError> {
        let options = QueuedOptions {
            queue: self.queue.options(ITEMS),
            batch_size: self.batch_size,
            flush_interval: self.batch.duration(),
        };
        Ok(Box::new(Queued::open(FrameEncoder::new(self), options, context).await?))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Queued::probe(&FrameEncoder::new(self), &self.queue.path).await
    }
}
