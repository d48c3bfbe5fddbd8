//! A trial of a broker that disturbs nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing, QoS, SubscribeReasonCode};
use tokio::time::{Instant, timeout_at};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::connection::{Connection, unique_client_id};
use super::discovery::DiscoveryTopics;
use super::failure::ConnectionFailure;
use super::message::Message;
use super::topics::{OFFLINE, Topics};
use crate::sink::SinkError;

/// Time within which the broker returns what is published.
const ECHO_WITHIN: Duration = Duration::from_secs(5);

/// Tries every broker, and returns what answered.
pub(super) async fn probe(config: &MqttConfig) -> Result<String, SinkError> {
    let config = Arc::new(config.clone());
    let mut answers = Vec::new();
    for broker in config.url.all() {
        let answer = try_broker(&config, broker).await;
        answers.push(answer.map_err(|failure| SinkError::transient(failure.to_string()))?);
    }
    Ok(answers.join(", "))
}

/// Connects as the sink does, subscribes, publishes, and waits for what comes back.
///
/// The goodbye keeps the broker from publishing the last will, and what is published is nothing
/// that anybody waits for.
async fn try_broker(
    config: &Arc<MqttConfig>,
    broker: &BrokerUrl,
) -> Result<String, ConnectionFailure> {
    let topics = Topics::new(&config.topic);
    let will = Message::lasting(topics.bridge_state(), OFFLINE);
    let id = client_id(config.client_id.as_deref());
    let own = Arc::clone(config);
    let mut connection = Connection::open(own, broker, &id, Some(will)).await?;
    let discovery =
        config.discovery.as_ref().map(|discovery| DiscoveryTopics::new(discovery).check());
    let tried: Vec<_> = std::iter::once(topics.check()).chain(discovery).collect();
    let mut trial = Trial { unanswered: tried.iter().cloned().collect(), tried, refused: None };
    let mut deadline = None;
    let mut stood = None;
    loop {
        let polled = connection.poll(stood);
        let event = match deadline {
            None => polled.await,
            Some(deadline) => match timeout_at(deadline, polled).await {
                Ok(event) => event,
                Err(_) => break,
            },
        };
        let event = match event {
            Ok(event) => event,
            Err(failure) if stood.is_some() => return Err(trial.closed(&failure, config)),
            Err(failure) => return Err(failure),
        };
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => {
                stood = Some(Duration::ZERO);
                deadline = Some(Instant::now() + ECHO_WITHIN);
                trial.begin(&connection);
            }
            Event::Outgoing(Outgoing::Disconnect) => break,
            event => trial.note(event, &connection),
        }
    }
    connection.finish().await;
    trial.verdict(config, broker)
}

/// Returns a client id of the same kind as the sink's, and yet another: a gateway that runs with
/// the same configuration keeps its connection.
fn client_id(configured: Option<&str>) -> String {
    let unique = unique_client_id();
    configured.map_or(unique.clone(), |id| format!("{id}{}", &unique[unique.len() - 6..]))
}

/// Topics that were tried, and what became of each.
struct Trial {
    tried: Vec<String>,
    unanswered: BTreeSet<String>,
    /// A topic to which the broker refuses a subscription.
    refused: Option<String>,
}

impl Trial {
    fn begin(&self, connection: &Connection) {
        for topic in &self.tried {
            // There are fewer requests than the empty channel takes.
            let _ = connection.client.try_subscribe(topic, QoS::AtMostOnce);
            let _ = connection.client.try_publish(topic, QoS::AtLeastOnce, false, "");
        }
    }

    fn note(&mut self, event: Event, connection: &Connection) {
        match event {
            Event::Incoming(Incoming::SubAck(answer)) => {
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    self.refused = self.tried.first().cloned();
                }
            }
            Event::Incoming(Incoming::Publish(message)) => {
                self.unanswered.remove(&message.topic);
            }
            _ => return,
        }
        if self.refused.is_some() || self.unanswered.is_empty() {
            let _ = connection.client.try_disconnect();
        }
    }

    fn closed(&self, failure: &ConnectionFailure, config: &MqttConfig) -> ConnectionFailure {
        let topics: Vec<_> = self.unanswered.iter().map(|topic| format!("`{topic}`")).collect();
        ConnectionFailure::permanent(format!(
            "{failure} when the gateway published and subscribed to {}; allow that for {}",
            topics.join(" and "),
            user(config)
        ))
    }

    fn verdict(self, config: &MqttConfig, broker: &BrokerUrl) -> Result<String, ConnectionFailure> {
        let user = user(config);
        if let Some(topic) = self.refused {
            return Err(ConnectionFailure::permanent(format!(
                "the broker at {broker} refuses subscriptions of {user}, such as to `{topic}`; allow \
                 them in the broker's access rules"
            )));
        }
        if let Some(topic) = self.unanswered.first() {
            return Err(ConnectionFailure::permanent(format!(
                "the broker at {broker} does not return what {user} publishes to `{topic}`: {user} may \
                 not publish or not subscribe there; check the broker's access rules"
            )));
        }
        let user = config.username.as_ref().map(|user| format!(" as `{user}`")).unwrap_or_default();
        Ok(format!("{broker} accepts connections{user}, and passes messages on"))
    }
}

fn user(config: &MqttConfig) -> String {
    config.username.as_ref().map_or_else(|| "this client".to_owned(), |user| format!("`{user}`"))
}
