//! Removes everything that a sink has retained on its brokers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing, Publish, QoS, SubscribeReasonCode};
use tokio::time::{Instant, timeout, timeout_at};

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

/// Time limit for one broker.
const LIMIT: Duration = Duration::from_secs(30);

/// Number of requests under way together.
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
        let cleaned = timeout(LIMIT, clean_broker(&config, broker, devices)).await;
        let cleaned = cleaned.unwrap_or_else(|_| {
            Err(ConnectionFailure::transient(format!(
                "the broker at {broker} was not done within {} s; try again",
                LIMIT.as_secs()
            )))
        });
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
struct Cleaning {
    topics: Topics,
    discovery: DiscoveryTopics,
    connection: Connection,
    report: CleanReport,
}

impl Cleaning {
    async fn work(&mut self, devices: &BTreeSet<u32>) -> Result<(), ConnectionFailure> {
        self.wait_for(|event| matches!(event, Event::Incoming(Incoming::ConnAck(_)))).await?;
        let mut filters = self.discovery.every_config().to_vec();
        filters.push(self.topics.of_devices());
        self.find(&filters).await?;
        let found = self.report.topics.len();
        // By name, whatever wildcards have brought.
        let mut names = vec![self.topics.bridge_state()];
        for serial in devices {
            names.extend(self.topics.known(*serial));
            names.extend(self.discovery.of_device(*serial));
        }
        for names in names.chunks(AT_A_TIME) {
            self.find(names).await?;
        }
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
        for filter in filters {
            let _ = self.connection.client.try_subscribe(filter, QoS::AtLeastOnce);
        }
        // In the order of the requests.
        let mut unanswered = filters.iter();
        let mut quiet: Option<Instant> = None;
        loop {
            let polled = self.connection.poll(Some(Duration::ZERO));
            let event = match quiet {
                None => polled.await?,
                Some(until) => match timeout_at(until, polled).await {
                    Ok(event) => event?,
                    Err(_) => return Ok(()),
                },
            };
            match event {
                Event::Incoming(Incoming::SubAck(answer)) => {
                    let filter = unanswered.next();
                    if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                        self.report.refused.extend(filter.cloned());
                    }
                }
                Event::Incoming(Incoming::Publish(message)) if message.retain => self.hear(message),
                _ => continue,
            }
            if unanswered.len() == 0 {
                quiet = Some(Instant::now() + QUIET);
            }
        }
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
        while !wanted(&self.connection.poll(None).await?) {}
        Ok(())
    }
}
