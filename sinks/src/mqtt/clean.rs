//! Removes everything that a sink has retained on its brokers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing, Publish, QoS, SubscribeReasonCode};
use tokio::time::{Instant, timeout_at};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::connection::{Connection, unique_client_id};
use super::discovery::DiscoveryTopics;
use super::failure::ConnectionFailure;
use super::topics::{ONLINE, Topics};
use crate::sink::SinkError;

/// Silence after which a broker has handed over everything that it kept: it gives no sign of the
/// end.
const QUIET: Duration = Duration::from_secs(1);

/// Time limit for each step.
const LIMIT: Duration = Duration::from_secs(30);

/// Number of requests under way together; the connection takes twice as many.
const AT_A_TIME: usize = 50;

/// Result of a clean-up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// Topics of the messages that were removed.
    pub topics: BTreeSet<String>,
    /// Records whether a gateway is running: it will announce everything again.
    pub running: bool,
    /// Filters that the broker refused: what stands there was not seen.
    pub refused: BTreeSet<String>,
    /// Records whether the broker keeps messages, but does not hand them over for a filter with a
    /// wildcard: devices that were not named could not be seen.
    pub no_wildcards: bool,
}

/// Removes whatever the sink has retained on its brokers: announcements, also from before discovery
/// was switched off, availability, and values from before `retain` was. Topics of the `devices` are
/// asked for by name too, for brokers that hand nothing over for a wildcard.
///
/// # Errors
/// [`SinkError`] says what failed, where, and what to do.
pub async fn clean(config: &MqttConfig, devices: &BTreeSet<u32>) -> Result<CleanReport, SinkError> {
    let config = Arc::new(config.clone());
    let mut report = CleanReport::default();
    for broker in config.url.all() {
        let cleaned = clean_broker(&config, broker, devices).await;
        let one = cleaned.map_err(|failure| SinkError::transient(failure.to_string()))?;
        report.topics.extend(one.topics);
        report.refused.extend(one.refused);
        report.running |= one.running;
        report.no_wildcards |= one.no_wildcards;
    }
    Ok(report)
}

async fn clean_broker(
    config: &Arc<MqttConfig>,
    broker: &BrokerUrl,
    devices: &BTreeSet<u32>,
) -> Result<CleanReport, ConnectionFailure> {
    let own = Arc::clone(config);
    let connection = Connection::open(own, broker, &unique_client_id(), None).await?;
    let mut cleaning = Cleaning {
        broker,
        until: Instant::now() + LIMIT,
        stood: None,
        topics: Topics::new(&config.topic),
        discovery: DiscoveryTopics::new(&config.discovery.clone().unwrap_or_default()),
        connection,
        report: CleanReport::default(),
    };
    cleaning.work(devices).await?;
    cleaning.connection.finish().await;
    Ok(cleaning.report)
}

/// A clean-up of one broker.
struct Cleaning<'a> {
    broker: &'a BrokerUrl,
    /// End of the time for the present step.
    until: Instant,
    /// Time for which the connection has stood: `None` until the broker has accepted it.
    stood: Option<Duration>,
    topics: Topics,
    discovery: DiscoveryTopics,
    connection: Connection,
    report: CleanReport,
}

impl Cleaning<'_> {
    async fn work(&mut self, devices: &BTreeSet<u32>) -> Result<(), ConnectionFailure> {
        self.wait_for(|event| matches!(event, Event::Incoming(Incoming::ConnAck(_)))).await?;
        self.stood = Some(Duration::ZERO);
        let mut filters = self.discovery.every_config().to_vec();
        filters.push(self.topics.of_devices());
        self.find(&filters).await?;
        let found = self.report.topics.len();
        // By name, whatever wildcards have brought.
        let mut names = BTreeSet::from([self.topics.bridge_state()]);
        for serial in devices {
            names.extend(self.topics.known(*serial));
            names.extend(self.discovery.of_device(*serial));
        }
        let names: Vec<_> = names.into_iter().collect();
        self.find(&names).await?;
        self.report.no_wildcards = found == 0 && !self.report.topics.is_empty();
        for topic in self.report.topics.clone() {
            let _ = self.connection.client.try_publish(topic, QoS::AtLeastOnce, true, "");
            self.wait_for(|event| matches!(event, Event::Incoming(Incoming::PubAck(_)))).await?;
        }
        // A request fails only after the connection, which has its own reason.
        let _ = self.connection.client.try_disconnect();
        self.wait_for(|event| matches!(event, Event::Outgoing(Outgoing::Disconnect))).await
    }

    /// Asks for everything of the sink that the broker keeps under these filters.
    async fn find(&mut self, filters: &[String]) -> Result<(), ConnectionFailure> {
        for filters in filters.chunks(AT_A_TIME) {
            for filter in filters {
                let _ = self.connection.client.try_subscribe(filter, QoS::AtLeastOnce);
            }
            self.until = Instant::now() + LIMIT;
            // In the order of the requests.
            let mut unanswered = filters.iter();
            while unanswered.len() > 0 {
                match self.poll().await? {
                    Event::Incoming(Incoming::SubAck(answer)) => {
                        let filter = unanswered.next();
                        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                            self.report.refused.extend(filter.cloned());
                        }
                    }
                    Event::Incoming(Incoming::Publish(message)) if message.retain => {
                        self.hear(message);
                    }
                    _ => {}
                }
            }
        }
        self.until = Instant::now() + LIMIT;
        let mut quiet = Instant::now() + QUIET;
        while let Ok(event) = timeout_at(quiet, self.poll()).await {
            if let Event::Incoming(Incoming::Publish(message)) = event?
                && message.retain
            {
                self.hear(message);
                quiet = Instant::now() + QUIET;
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Publish) {
        let state = self.topics.bridge_state();
        let ours = message.topic == state
            || self.topics.is_of_device(&message.topic)
            || self.discovery.read(&self.topics, &message.topic, &message.payload).is_some();
        if ours {
            let running = message.topic == state && message.payload == ONLINE.as_bytes();
            self.report.running |= running;
            self.report.topics.insert(message.topic);
        }
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<(), ConnectionFailure> {
        self.until = Instant::now() + LIMIT;
        while !wanted(&self.poll().await?) {}
        Ok(())
    }

    async fn poll(&mut self) -> Result<Event, ConnectionFailure> {
        let polled = timeout_at(self.until, self.connection.poll(self.stood)).await;
        polled.unwrap_or_else(|_| {
            Err(ConnectionFailure::transient(format!(
                "the broker at {} has not answered within {} s; try again",
                self.broker,
                LIMIT.as_secs()
            )))
        })
    }
}
