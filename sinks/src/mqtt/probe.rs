//! A trial of a broker that disturbs nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing, QoS, SubscribeReasonCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::connection::{Connection, unique_client_id};
use super::discovery::DiscoveryTopics;
use super::failure::ConnectionFailure;
use super::message::Message;
use super::topics::Topics;
use crate::sink::SinkError;

/// Time within which the broker returns what is published.
const ECHO_WITHIN: Duration = Duration::from_secs(5);

/// Time within which the connection takes the goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

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
/// The last will says nothing about the gateway: the broker publishes it if the probe is cancelled
/// or loses its connection, and a gateway may be running with the same configuration. Nobody waits
/// for what is published.
async fn try_broker(
    config: &Arc<MqttConfig>,
    broker: &BrokerUrl,
) -> Result<String, ConnectionFailure> {
    let topics = Topics::new(&config.topic);
    let will = Message { retain: false, ..Message::lasting(topics.check(), "") };
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
            event => trial.note(event),
        }
        if trial.is_decided() {
            break;
        }
    }
    leave(&mut connection).await;
    connection.finish().await;
    trial.verdict(config, broker)
}

/// Says goodbye, so that the broker does not publish the last will.
async fn leave(connection: &mut Connection) {
    // A request fails only after the connection has ended.
    let _ = connection.client.try_disconnect();
    let goodbye = async {
        while let Ok(event) = connection.poll(None).await {
            if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                break;
            }
        }
    };
    let _ = timeout(GOODBYE_WITHIN, goodbye).await;
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

    fn note(&mut self, event: Event) {
        match event {
            Event::Incoming(Incoming::SubAck(answer))
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                self.refused = self.tried.first().cloned();
            }
            Event::Incoming(Incoming::Publish(message)) => {
                self.unanswered.remove(&message.topic);
            }
            _ => {}
        }
    }

    /// Returns whether nothing more is to be found out.
    fn is_decided(&self) -> bool {
        self.refused.is_some() || self.unanswered.is_empty()
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
