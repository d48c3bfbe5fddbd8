//! What is wrong with a connection, in words that tell what to do.

mod tls;

use std::fmt;
use std::io;
use std::time::Duration;

use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};

use super::config::MqttConfig;
use super::options::{ANSWER_WITHIN, OptionsError};
use super::session::STOOD;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectionFailure {
    text: String,
    /// Whether somebody has to change something: the network and the broker cannot mend it by
    /// themselves.
    pub(super) lasting: bool,
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<OptionsError> for ConnectionFailure {
    fn from(error: OptionsError) -> Self {
        Self::lasting(error.to_string())
    }
}

impl ConnectionFailure {
    pub(super) fn passing(text: String) -> Self {
        Self { text, lasting: false }
    }

    fn lasting(text: String) -> Self {
        Self { text, lasting: true }
    }

    /// The failure that `error` tells of, where a connection had `stood` for some time or none was
    /// made.
    pub(super) fn of(
        error: &ConnectionError,
        config: &MqttConfig,
        stood: Option<Duration>,
    ) -> Self {
        let broker = &config.url;
        if let Some(error) = tls::cause(error) {
            return tls::failure(error, config);
        }
        match error {
            ConnectionError::ConnectionRefused(code) => refused(*code, config),
            ConnectionError::NetworkTimeout => Self::passing(format!(
                "no answer from {broker} within {} s; is a firewall in the way, or does something \
                 else than an MQTT broker listen there{}?",
                ANSWER_WITHIN.as_secs(),
                // A resolver may take longer than that to find out that it has no answer.
                if broker.is_named() { ", or can its name not be looked up" } else { "" }
            )),
            error if is_too_large(error) => Self::passing(format!(
                "the broker at {broker} keeps a message of more than 1 MiB where devices are \
                 announced; what was announced before is not read back"
            )),
            ConnectionError::FlushTimeout => {
                Self::passing(format!("the broker at {broker} takes nothing any more"))
            }
            ConnectionError::MqttState(StateError::AwaitPingResp) => {
                Self::passing(format!("the broker at {broker} does not answer any more"))
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) if stood.is_some() => {
                Self::passing(match &config.client_id {
                    Some(id) if stood < Some(STOOD) => format!(
                        "the broker at {broker} accepted the connection and closed it again; does \
                         another client use the id `{id}`?"
                    ),
                    _ => format!("the broker at {broker} closed the connection"),
                })
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => hung_up(config),
            _ => match io_error(error) {
                Some(error) => of_io(error, config, stood.is_some()),
                None => Self::passing(format!(
                    "{broker} does not speak MQTT 3.1.1 as expected ({error}); is it a broker?"
                )),
            },
        }
    }
}

/// Whether a message came that is larger than any that is heard. The broker would send it on each
/// connection again.
pub(super) fn is_too_large(error: &ConnectionError) -> bool {
    use PacketError::PayloadSizeLimitExceeded;
    use StateError::Deserialization;
    matches!(error, ConnectionError::MqttState(Deserialization(PayloadSizeLimitExceeded(_))))
}

/// The other side ended the connection before it had said anything.
fn hung_up(config: &MqttConfig) -> ConnectionFailure {
    let broker = &config.url;
    ConnectionFailure::passing(format!(
        "{broker} closed the connection without a word; {}",
        if broker.encrypted {
            "is it the port for encrypted connections?"
        } else {
            "is it a port for encrypted connections (mqtts://)?"
        }
    ))
}

fn refused(code: ConnectReturnCode, config: &MqttConfig) -> ConnectionFailure {
    let broker = &config.url;
    match (code, &config.username) {
        (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, None) => {
            ConnectionFailure::lasting(format!(
                "the broker at {broker} wants to know who connects; set `username` and `password`"
            ))
        }
        (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, Some(user)) => {
            ConnectionFailure::lasting(format!(
                "the broker at {broker} refuses the user `{user}`; check `username` and `password`"
            ))
        }
        (ConnectReturnCode::BadClientId, _) => ConnectionFailure::lasting(format!(
            "the broker at {broker} refuses the client id; set a `client_id` that it takes"
        )),
        (ConnectReturnCode::RefusedProtocolVersion, _) => ConnectionFailure::lasting(format!(
            "the broker at {broker} does not take MQTT 3.1.1; switch it on there"
        )),
        (ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success, _) => {
            ConnectionFailure::passing(format!("the broker at {broker} is not available now"))
        }
    }
}

fn of_io(error: &io::Error, config: &MqttConfig, stood: bool) -> ConnectionFailure {
    let broker = &config.url;
    let said = error.to_string();
    if error.kind() == io::ErrorKind::ConnectionReset && !stood {
        return hung_up(config);
    }
    ConnectionFailure::passing(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nobody listens at {broker} (connection refused); is the broker running, and the port \
             in `url` right?"
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{broker} cannot be reached: {said}; check the network and the host in `url`")
        }
        // The resolver's errors have no kind of their own.
        _ if said.contains("lookup address") => format!(
            "the name of the broker, `{}`, cannot be found: {said}; check it in `url`, or give the \
             address instead",
            broker.host
        ),
        _ if stood => format!("the connection to {broker} broke: {said}"),
        _ => format!("cannot connect to {broker}: {said}"),
    })
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(PacketError::Io(error)),
        ) => Some(error),
        _ => None,
    }
}
