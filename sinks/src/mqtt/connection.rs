//! One connection to a broker.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Transport};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::dial::{Relay, dial};
use super::failure::ConnectionFailure;
use super::message::Message;
use super::tls;
use crate::settings::resolve;

/// Size of the largest packet that is sent. A discovery message takes 64 KiB where every
/// experimental decoder is on and topics are long; declared decoders add to it.
pub(super) const LARGEST_SENT: usize = 1 << 20;

/// Size of the largest packet that is read.
const LARGEST_READ: usize = 1 << 20;

/// Number of requests that the connection takes before the first of them is written.
const CHANNEL: usize = 100;

/// A connection that is being made or stands.
pub(super) struct Connection {
    config: Arc<MqttConfig>,
    broker: BrokerUrl,
    pub(super) client: AsyncClient,
    events: EventLoop,
    relay: Relay,
}

/// Returns a client id that no other connection has: 23 characters, the most that every broker
/// takes (MQTT 3.1.1, 3.1.3.1).
pub(super) fn unique_client_id() -> String {
    // Keyed by the operating system, differently for each instance.
    format!("energi-{:016x}", RandomState::new().hash_one(std::process::id()))
}

impl Connection {
    /// Reaches the broker, without saying anything to it yet: [`poll`](Self::poll) does.
    ///
    /// The broker publishes `will` when the connection breaks. Passwords and certificates are read
    /// from their files each time, so that a corrected file needs no restart.
    pub(super) async fn open(
        config: Arc<MqttConfig>,
        broker: &BrokerUrl,
        client_id: &str,
        will: Option<Message>,
    ) -> Result<Self, ConnectionFailure> {
        let (own, encrypted) = (Arc::clone(&config), broker.encrypted);
        let read = tokio::task::spawn_blocking(move || {
            let file = own.password_file.as_deref();
            let password = resolve("password", own.password.as_ref(), file)
                .map_err(|error| ConnectionFailure::permanent(error.to_string()))?;
            let tls = encrypted.then(|| tls::client_config(&own)).transpose();
            let tls = tls.map_err(|error| ConnectionFailure::permanent(error.to_string()))?;
            Ok((password, tls))
        });
        // Blocking work is given up only when the program ends.
        let read = read.await.map_err(|error| ConnectionFailure::transient(error.to_string()))?;
        let (password, tls) = read?;
        let relay = dial(&config, broker, tls).await?;

        let mut options = MqttOptions::new(client_id, &relay.path, broker.port);
        options
            .set_transport(Transport::unix())
            .set_keep_alive(config.keep_alive.duration())
            .set_max_packet_size(LARGEST_READ, LARGEST_SENT);
        if let Some(username) = &config.username {
            let password = password.as_ref().map_or("", |password| password.expose());
            options.set_credentials(username, password);
        }
        if let Some(Message { topic, payload, qos, retain }) = will {
            options.set_last_will(LastWill::new(topic, payload, qos.into(), retain));
        }
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(config.connect_timeout.duration().as_secs());
        let (client, mut events) = AsyncClient::new(options, CHANNEL);
        events.set_network_options(network);
        Ok(Self { config, broker: broker.clone(), client, events, relay })
    }

    /// Returns the next event, `stood` being the time since the broker accepted the connection.
    ///
    /// May be dropped and called again.
    pub(super) async fn poll(
        &mut self,
        stood: Option<Duration>,
    ) -> Result<Event, ConnectionFailure> {
        self.events.poll().await.map_err(|error| {
            let cause = self.relay.take_error();
            ConnectionFailure::of(&error, cause.as_ref(), &self.config, &self.broker, stood)
        })
    }

    /// Waits until the last bytes have been sent.
    pub(super) async fn finish(self) {
        drop(self.events);
        self.relay.finish().await;
    }
}
