//! `mqtt`: values on the topics of `mqtt-energi`, and everything that Home Assistant likes to know.
//!
//! A reading goes to the `session`, the task that holds the `connection` (`dial`, `tls`). There the
//! `tracker` keeps each `device`, whose `throttle` decides what is sent; the `queue` keeps messages
//! until the broker has them. `topics`, `status`, `energy`, `problems` and `message` define what
//! goes over the wire, `discovery` what is announced to Home Assistant, `presence` what is repaired
//! when somebody else contradicts it, `failure` and `log` what a user reads when there is no
//! connection.
//!
//! Live, the newest value of each topic is kept while there is no connection, and no more. In a
//! replay nothing is dropped: a batch is delivered once everything that follows from it has been
//! written to the connection, and, with `qos: 1`, acknowledged by the broker.

mod broker;
mod clean;
mod config;
mod connection;
mod device;
mod dial;
mod discovery;
mod energy;
mod failure;
mod log;
mod message;
mod presence;
mod probe;
mod problems;
mod queue;
mod session;
mod status;
mod throttle;
mod tls;
mod topics;
mod tracker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use energi_decoders::Reading;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::settings::Problem;
use crate::sink::{Batching, Context, Sink, SinkConfig, SinkError, Written};

pub use broker::{BrokerUrl, BrokerUrlError, BrokerUrls};
pub use clean::{CleanReport, clean};
pub use config::{DiscoveryConfig, DiscoveryStyle, MqttConfig, ProblemsConfig};
// For the benchmark, which weighs what a reading costs without a connection.
#[doc(hidden)]
pub use device::{DeviceState, PublishPlan};
pub use message::{Message, QoS};
pub use topics::{OFFLINE, ONLINE, Topics};

use session::{Request, Session};

/// Bounds what a replay has under way to some thousand messages.
const BATCHING: Batching = Batching { readings: 256, wait: Duration::ZERO };

#[async_trait]
impl SinkConfig for MqttConfig {
    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let (requests, asked) = mpsc::channel(1);
        let session = Session::new(self.clone(), context, asked);
        Ok(Box::new(Mqtt { requests, session: tokio::spawn(session.run()) }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        probe::probe(self).await
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// The sink: asks the session, and waits for the answer.
#[derive(Debug)]
struct Mqtt {
    requests: mpsc::Sender<Request>,
    session: JoinHandle<()>,
}

#[async_trait]
impl Sink for Mqtt {
    fn batching(&self) -> Batching {
        BATCHING
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let readings = batch.to_vec();
        // Without a connection a reading leaves nothing but the newest value of its topics.
        let skipped = self.ask(|answer| Request::Publish(readings, answer)).await?;
        Ok(Written { delivered: batch.len().saturating_sub(skipped), skipped })
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.ask(Request::Close).await
    }
}

impl Mqtt {
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SinkError>>) -> Request,
    ) -> Result<T, SinkError> {
        let died = || SinkError::permanent("the connection's task has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| died())?;
        answered.await.map_err(|_| died())?
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        // Without a farewell the broker publishes the last will, as it should.
        self.session.abort();
    }
}
