//! Takes back everything that a sink has left on its broker.

use std::collections::BTreeSet;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, Outgoing, Packet, Publish, QoS};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, timeout, timeout_at};

use super::config::{DiscoveryConfig, MqttConfig};
use super::discovery::{Recalled, every_config};
use super::failure::ConnectionFailure;
use super::options::{network, options, unique_client_id};
use super::topics::{ONLINE, Topics};
use crate::sink::SinkError;

/// A broker hands over what it has kept without a word at the end. It has none left when none came
/// for so long.
const QUIET: Duration = Duration::from_secs(1);

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests that are under way together.
const AT_A_TIME: usize = 10;

/// What was taken back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// The topics of the messages that the broker had kept.
    pub topics: BTreeSet<String>,
    /// Whether a gateway says that it is running: it may announce everything again.
    pub running: bool,
}

/// Takes back whatever the sink has retained on its broker: announcements also from before
/// discovery was switched off, availability, and values from before `retain` was.
///
/// # Errors
/// [`SinkError`] says what failed, where, and what to do.
pub async fn clean(config: &MqttConfig) -> Result<CleanReport, SinkError> {
    let options = options(config, &unique_client_id(), None)
        .map_err(|error| SinkError::permanent(error.to_string()))?;
    let (client, mut events) = AsyncClient::new(options, AT_A_TIME);
    events.set_network_options(network());
    let (sender, heard) = mpsc::channel(AT_A_TIME);
    // The connection goes on by itself: none of its work may be cut short by a wait that ends.
    let polling = tokio::spawn(async move {
        loop {
            let event = events.poll().await;
            let broken = event.is_err();
            if sender.send(event).await.is_err() || broken {
                return;
            }
        }
    });
    let cleaned = CleanReport::default();
    let mut cleaning = Cleaning { ours: Ours::new(config), client, events: heard, cleaned };
    let result = timeout(PATIENCE, cleaning.work()).await;
    polling.abort();
    match result {
        Ok(Ok(())) => Ok(cleaning.cleaned),
        Ok(Err(error)) => {
            Err(SinkError::transient(ConnectionFailure::of(&error, config, None).to_string()))
        }
        Err(_) => Err(SinkError::transient(format!(
            "the broker at {} was not done within {} s; try again",
            config.url,
            PATIENCE.as_secs()
        ))),
    }
}

/// Which of the messages on a broker are ours.
struct Ours {
    topics: Topics,
    prefix: String,
}

impl Ours {
    fn new(config: &MqttConfig) -> Self {
        let DiscoveryConfig { prefix } = config.discovery.clone().unwrap_or_default();
        Self { topics: Topics::new(&config.topic), prefix }
    }

    fn filters(&self) -> [String; 3] {
        [every_config(&self.prefix), self.topics.bridge_state(), self.topics.of_devices()]
    }

    fn include(&self, message: &Publish) -> bool {
        message.topic == self.topics.bridge_state()
            || self.topics.is_of_device(&message.topic)
            || Recalled::read(&self.prefix, &self.topics, &message.topic, &message.payload)
                .is_some()
    }
}

type Events = Receiver<Result<Event, ConnectionError>>;

/// What is being done on one connection.
struct Cleaning {
    ours: Ours,
    client: AsyncClient,
    events: Events,
    cleaned: CleanReport,
}

impl Cleaning {
    async fn work(&mut self) -> Result<(), ConnectionError> {
        self.find().await?;
        for topic in self.cleaned.topics.clone() {
            self.remove(topic).await?;
        }
        // A request fails only after the connection, which says why itself.
        let _ = self.client.disconnect().await;
        self.wait_for(|event| matches!(event, Event::Outgoing(Outgoing::Disconnect))).await
    }

    /// Asks for everything that the broker has kept of ours.
    async fn find(&mut self) -> Result<(), ConnectionError> {
        self.wait_for(|event| matches!(event, Event::Incoming(Packet::ConnAck(_)))).await?;
        let filters = self.ours.filters();
        let mut unanswered = filters.len();
        for filter in filters {
            let _ = self.client.subscribe(filter, QoS::AtLeastOnce).await;
        }
        let mut quiet: Option<Instant> = None;
        loop {
            let event = match quiet {
                None => self.next().await?,
                Some(until) => match timeout_at(until, self.next()).await {
                    Ok(event) => event?,
                    Err(_) => return Ok(()),
                },
            };
            match event {
                Event::Incoming(Packet::SubAck(_)) => unanswered -= 1,
                Event::Incoming(Packet::Publish(message)) if message.retain => self.hear(message),
                _ => continue,
            }
            if unanswered == 0 {
                quiet = Some(Instant::now() + QUIET);
            }
        }
    }

    fn hear(&mut self, message: Publish) {
        if self.ours.include(&message) {
            let running = message.topic == self.ours.topics.bridge_state()
                && message.payload == ONLINE.as_bytes();
            self.cleaned.running |= running;
            self.cleaned.topics.insert(message.topic);
        }
    }

    async fn remove(&mut self, topic: String) -> Result<(), ConnectionError> {
        let _ = self.client.publish(topic, QoS::AtLeastOnce, true, "").await;
        self.wait_for(|event| matches!(event, Event::Incoming(Packet::PubAck(_)))).await
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<(), ConnectionError> {
        while !wanted(&self.next().await?) {}
        Ok(())
    }

    async fn next(&mut self) -> Result<Event, ConnectionError> {
        self.events.recv().await.unwrap_or(Err(ConnectionError::RequestsDone))
    }
}
