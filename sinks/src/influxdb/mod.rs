//! `influxdb`: every reading as a point on an InfluxDB 2 server, or another that takes its write
//! API.

mod answer;
mod client;
mod config;
pub mod lines;

use std::sync::Arc;

use async_trait::async_trait;
use energi_decoders::Reading;

use crate::settings::Problem;
use crate::sink::{Batching, Context, Destination, Sink, SinkConfig, SinkError};

pub use config::{Config, Queue};

use answer::Answer;
use client::Client;
use lines::{Encoder, Lines};

#[async_trait]
impl SinkConfig for Config {
    fn named(&mut self, name: &str) {
        Config::named(self, name);
    }

    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    fn destination(&self) -> Option<Destination> {
        Some(Destination::file("queue", &self.queue.path))
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(Influx {
            client: self.client().await?,
            encoder: Encoder::new(context.site.as_deref(), &context.device_names),
            passed_over: 0,
            batching: Batching { readings: self.batch_size, wait: self.flush_interval.duration() },
        }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        self.client().await?.probe().await.map_err(SinkError::Retry)
    }

    fn is_remote(&self) -> bool {
        true
    }
}

impl Config {
    async fn client(&self) -> Result<Client, SinkError> {
        let config = self.clone();
        let made = tokio::task::spawn_blocking(move || Client::new(&config)).await;
        made.unwrap_or_else(|error| Err(SinkError::Retry(error.to_string())))
    }
}

#[derive(Debug)]
struct Influx {
    client: Client,
    encoder: Encoder,
    passed_over: usize,
    batching: Batching,
}

#[async_trait]
impl Sink for Influx {
    fn batching(&self) -> Batching {
        self.batching
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<(), SinkError> {
        let mut lines = Lines::default();
        for reading in batch {
            self.encoder.reading(reading, &mut lines);
        }
        self.passed_over = batch.len() - lines.count();
        match self.client.write(&lines).await {
            Answer::Taken => Ok(()),
            Answer::TakenInPart(said) => {
                self.passed_over += answer::left_out(&said, lines.count());
                Ok(())
            }
            Answer::Malformed(said)
            | Answer::TooLarge(said)
            | Answer::Refused(said)
            | Answer::Away(said) => {
                Err(SinkError::Retry(format!("{}: {said}", self.client.address())))
            }
        }
    }

    fn passed_over(&self) -> usize {
        self.passed_over
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
