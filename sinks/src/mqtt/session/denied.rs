//! Access that the broker denies without an error.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::Session;
use crate::mqtt::failure::ConnectionFailure;
use crate::mqtt::queue::Step;

/// Time within which the broker returns what is published to a topic that is subscribed to.
const ECHO_WITHIN: Duration = Duration::from_secs(10);

impl Session {
    pub(super) fn subscription_answered(&mut self, filter: &str, refused: bool) {
        debug!(sink = self.name, topic = filter, refused, "subscription answered");
        if !refused {
            if filter == self.topics.bridge_state() {
                self.echo = Some(Instant::now() + ECHO_WITHIN);
            }
            self.refused.remove(filter);
        } else if self.refused.insert(filter.to_owned()) {
            warn!(
                sink = self.name,
                topic = filter,
                "the broker refuses the subscription, so the gateway does not notice changes of this \
                 topic; let the user subscribe to it"
            );
        }
    }

    pub(super) fn miss_echo(&mut self) {
        if std::mem::replace(&mut self.echo_missed, true) {
            return;
        }
        let topic = self.topics.bridge_state();
        let user = self.config.username.as_ref();
        let user = user.map_or_else(|| "this client".to_owned(), |user| format!("user `{user}`"));
        warn!(
            sink = self.name,
            topic,
            "the gateway's own `online` does not come back: {user} may not publish or not subscribe \
             there; check the broker's access rules for `{}/#`",
            self.config.topic
        );
    }

    /// Skips a step that the broker closes connections for. Returns a failure where nothing works
    /// without that step.
    pub(super) fn blame(&mut self, step: &Step) -> Option<ConnectionFailure> {
        let (base, topic) = (&self.config.topic, step.topic());
        if topic == self.topics.bridge_state() && matches!(step, Step::Publish(_)) {
            return Some(ConnectionFailure::permanent(format!(
                "the broker at {} closes the connection when `{topic}` is published: let the user \
                 publish to `{base}/#`, or choose a `topic` that the broker allows",
                self.broker()
            )));
        }
        let discovery = self.config.discovery.as_ref();
        let prefix = discovery.map(|discovery| discovery.prefix.as_str());
        let everything = self.queue.leave_out(step, prefix)?;
        let name = &self.name;
        match (step, discovery) {
            (Step::Subscribe(filter), _) => warn!(
                sink = name,
                topic = filter,
                "the broker closes the connection after this subscription: the gateway continues \
                 without it; let the user subscribe to it"
            ),
            (Step::Publish(message), Some(discovery))
                if message.topic.starts_with(&format!("{}/", discovery.prefix)) =>
            {
                let (bytes, prefix) = (message.payload.len(), &discovery.prefix);
                warn!(
                    sink = name,
                    topic,
                    bytes,
                    "the broker closes the connection when {} published: the gateway continues with \
                     values only. Let the user publish to `{prefix}/#`, let the broker accept larger \
                     packets (Mosquitto: max_packet_size), or set `discovery: {{style: components}}` \
                     or `discovery: false`. Then restart the gateway",
                    if everything { "announcements are" } else { "this announcement is" }
                );
            }
            (Step::Publish(message), _) => warn!(
                sink = name,
                topic,
                bytes = message.payload.len(),
                "the broker closes the connection when this message is published: the gateway \
                 continues without it; let the user publish to `{base}/#`, or let the broker accept \
                 larger packets. Then restart the gateway"
            ),
        }
        None
    }
}
