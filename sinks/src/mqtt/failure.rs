//! Reasons why there is no connection, and what to do about each.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::tls;

/// Time after which a connection was a good one: longer than the longest wait between attempts, so
/// that two clients of one id, which take turns to connect, never get so far.
pub(super) const GOOD_CONNECTION: Duration = Duration::from_secs(65);

/// Reason why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectionFailure {
    text: String,
    pub(super) kind: FailureKind,
}

/// Meaning of a failure for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The broker was not reached, or does not answer.
    Away,
    /// The broker closed an accepted connection.
    Closed,
    /// The broker sent more than is read.
    TooLarge,
    /// Somebody has to change something first.
    Permanent,
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ConnectionFailure {
    pub(super) fn transient(text: String) -> Self {
        Self { text, kind: FailureKind::Away }
    }

    pub(super) fn permanent(text: String) -> Self {
        Self { text, kind: FailureKind::Permanent }
    }

    fn closed(text: String) -> Self {
        Self { text, kind: FailureKind::Closed }
    }

    /// Explains why the name of the broker leads nowhere.
    pub(super) fn unknown_name(error: &io::Error, broker: &BrokerUrl) -> Self {
        Self::transient(format!(
            "the name of the broker, `{}`, cannot be found: {error}; check it in `url`, or give the \
             address instead{}",
            broker.host,
            if broker.host.split('.').next_back() == Some("local") {
                " (names in .local need a resolver for mDNS, such as libnss-mdns)"
            } else {
                ""
            }
        ))
    }

    /// Explains why no address of the broker was reached.
    pub(super) fn unreachable(attempts: &[(SocketAddr, io::Error)], broker: &BrokerUrl) -> Self {
        let text = match attempts.last() {
            None => format!("the name of the broker, `{}`, has no address", broker.host),
            Some((_, error)) => io_failure(error, broker),
        };
        let tried = attempts.iter().map(|(address, error)| format!("{address}: {error}"));
        let tried = tried.collect::<Vec<_>>().join(", ");
        Self::transient(if attempts.len() > 1 { format!("{text}; tried {tried}") } else { text })
    }

    /// Explains the error of a connection; `cause` is that of the socket below it. The broker
    /// accepted the connection so long ago as it has `stood`.
    pub(super) fn of(
        error: &ConnectionError,
        cause: Option<&io::Error>,
        config: &MqttConfig,
        broker: &BrokerUrl,
        stood: Option<Duration>,
    ) -> Self {
        match error {
            ConnectionError::ConnectionRefused(code) => refused(*code, config, broker),
            ConnectionError::NetworkTimeout => Self::unanswered(config, broker),
            ConnectionError::FlushTimeout => {
                Self::transient(format!("the broker at {broker} accepts no more data"))
            }
            ConnectionError::MqttState(StateError::AwaitPingResp) => {
                Self::transient(format!("the broker at {broker} does not answer any more"))
            }
            ConnectionError::MqttState(StateError::Deserialization(
                PacketError::PayloadSizeLimitExceeded(_),
            )) => Self {
                text: format!(
                    "the broker at {broker} keeps a message of more than 1 MiB where devices are \
                     announced; earlier announcements are not read back"
                ),
                kind: FailureKind::TooLarge,
            },
            _ => match cause.or_else(|| io_error(error)) {
                Some(error) => Self::of_io(error, config, broker, stood),
                None if is_end(error) => Self::hung_up(config, broker, stood),
                None => Self::transient(format!(
                    "{broker} does not speak MQTT 3.1.1 as expected ({error}); is it a broker?"
                )),
            },
        }
    }

    /// Explains an error of the socket or of its encryption.
    pub(super) fn of_io(
        error: &io::Error,
        config: &MqttConfig,
        broker: &BrokerUrl,
        stood: Option<Duration>,
    ) -> Self {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return tls::failure(error, config, broker);
        }
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe => Self::hung_up(config, broker, stood),
            _ if stood.is_some() => {
                Self::transient(format!("the connection to {broker} broke: {error}"))
            }
            _ => Self::transient(io_failure(error, broker)),
        }
    }

    /// The broker did not answer in time.
    pub(super) fn unanswered(config: &MqttConfig, broker: &BrokerUrl) -> Self {
        Self::transient(format!(
            "no answer from {broker} within {}; does a firewall block the connection, or is the \
             program there not an MQTT broker?",
            config.connect_timeout
        ))
    }

    /// The broker closed the connection.
    fn hung_up(config: &MqttConfig, broker: &BrokerUrl, stood: Option<Duration>) -> Self {
        match (stood, &config.client_id) {
            (None, _) => Self::transient(without_a_word(config, broker)),
            (Some(stood), Some(id)) if stood < GOOD_CONNECTION => Self::closed(format!(
                "the broker at {broker} accepted the connection and closed it again; does another \
                 client use the id `{id}`?"
            )),
            _ => Self::closed(format!("the broker at {broker} closed the connection")),
        }
    }
}

/// The causes of a connection that is closed before the broker answered, the likeliest first.
fn without_a_word(config: &MqttConfig, broker: &BrokerUrl) -> String {
    let user = match &config.username {
        Some(user) => format!("are the user `{user}` and the password right"),
        None => "does it require a `username` and `password`".to_owned(),
    };
    let id = match &config.client_id {
        Some(id) => format!("does it accept the client id `{id}`"),
        None => "does it require a certain `client_id`".to_owned(),
    };
    let port = if broker.encrypted {
        "is it the port for encrypted connections"
    } else {
        "is it a port for encrypted connections (mqtts://)"
    };
    format!(
        "{broker} closed the connection without an answer: {user}; {id}; may the user publish the \
         last will, and so to `{}/bridge/state`; {port}?",
        config.topic
    )
}

fn refused(code: ConnectReturnCode, config: &MqttConfig, broker: &BrokerUrl) -> ConnectionFailure {
    match (code, &config.username) {
        (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, None) => {
            ConnectionFailure::permanent(format!(
                "the broker at {broker} requires a user; set `username` and `password`"
            ))
        }
        (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, Some(user)) => {
            ConnectionFailure::permanent(format!(
                "the broker at {broker} refuses the user `{user}`; check `username` and `password`"
            ))
        }
        (ConnectReturnCode::BadClientId, _) => ConnectionFailure::permanent(format!(
            "the broker at {broker} refuses the client id; set a `client_id` that it accepts"
        )),
        (ConnectReturnCode::RefusedProtocolVersion, _) => ConnectionFailure::permanent(format!(
            "the broker at {broker} does not accept MQTT 3.1.1; switch it on there"
        )),
        (ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success, _) => {
            ConnectionFailure::transient(format!("the broker at {broker} is not available now"))
        }
    }
}

fn io_failure(error: &io::Error, broker: &BrokerUrl) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => format!(
            "no program listens at {broker} (connection refused); is the broker running, and is the \
             port in `url` right?"
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            format!("{broker} cannot be reached: {error}; check the network and the host in `url`")
        }
        ErrorKind::TimedOut => format!(
            "no answer from {broker}; is the host in `url` right, or does a firewall block the \
             connection?"
        ),
        _ => format!("cannot connect to {broker}: {error}"),
    }
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(PacketError::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

/// Returns whether the connection ended without an error of its own.
fn is_end(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::MqttState(StateError::ConnectionAborted))
}
