//! Tries a broker without disturbing anybody.

use rumqttc::{AsyncClient, Event, Incoming, Outgoing};

use super::config::MqttConfig;
use super::failure::ConnectionFailure;
use super::options::{self, options, unique_client_id};
use crate::sink::{Context, SinkError};

/// Connects and says goodbye, without a last will, and under a client id of its own: a gateway that
/// runs with the same configuration keeps its connection.
pub(super) async fn probe(config: &MqttConfig, _context: &Context) -> Result<String, SinkError> {
    let (own, id) = (config.clone(), unique_client_id());
    let options = tokio::task::spawn_blocking(move || options(&own, &id, None)).await;
    let options = options.map_err(|error| SinkError::transient(error.to_string()))?;
    let options = options.map_err(|error| SinkError::permanent(error.to_string()))?;
    let (client, mut events) = AsyncClient::new(options, 1);
    events.set_network_options(options::network());
    let mut stood = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                stood = true;
                if client.try_disconnect().is_err() {
                    break;
                }
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
            Ok(_) => {}
            Err(_) if stood => break,
            Err(error) => {
                let failure = ConnectionFailure::of(&error, config, None);
                return Err(SinkError::transient(failure.to_string()));
            }
        }
    }
    let user = config.username.as_ref().map(|user| format!(" as `{user}`")).unwrap_or_default();
    Ok(format!("{} takes connections{user}", config.url))
}
