//! Messages of a stream by way of a durable pull consumer: what a gateway at the centre reads.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, ErrorCode};
use async_nats::{Subject, jetstream};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::server::{NatsConnection, NatsServer, NatsUrls};
use crate::runner::SendError;
use crate::settings::{Period, Problem, Secret};

/// Time that a request for messages stays with the server.
const REQUEST: Duration = Duration::from_secs(5);

/// A consumer without a limit of its own redelivers after this time.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// A consumer of a stream, and how to log in at its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConsumerConfig {
    /// The server, such as `tls://nats.example.org`, or several of a cluster.
    pub url: NatsUrls,
    /// Name of the stream.
    pub stream: String,
    /// Name of its durable pull consumer, which several gateways may share.
    pub consumer: String,
    /// User who reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password that belongs to the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Token that a server without users asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The file that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The file that holds the seed of a user's key pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nkey_file: Option<PathBuf>,
    /// The file that holds a user's JWT and seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creds_file: Option<PathBuf>,
    /// The authority that signed the server's certificate, as PEM; the system's authorities where
    /// none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Time that the server may take to answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Period,
    /// The most messages that are read and not yet acknowledged.
    #[serde(default = "in_flight")]
    pub in_flight: usize,
}

const fn ten_seconds() -> Period {
    Period::from_secs(10)
}

const fn in_flight() -> usize {
    1_000
}

impl NatsConsumerConfig {
    /// Problems of its values.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server().problems();
        for (key, name) in [("stream", &self.stream), ("consumer", &self.consumer)] {
            let forbidden = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
            if name.is_empty() || name.contains(forbidden) {
                problems
                    .push(Problem::new(key, "a name has no spaces, dots, slashes or wildcards"));
            }
        }
        if !(1..=100_000).contains(&self.in_flight) {
            problems.push(Problem::new("in_flight", "take 1 to 100000; 1000 is a good number"));
        }
        problems
    }

    fn server(&self) -> NatsServer {
        NatsServer {
            url: self.url.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            password_file: self.password_file.clone(),
            token: self.token.clone(),
            token_file: self.token_file.clone(),
            nkey_file: self.nkey_file.clone(),
            creds_file: self.creds_file.clone(),
            ca_file: self.ca_file.clone(),
            timeout: self.timeout,
        }
    }

    /// Connects, and looks for the consumer.
    ///
    /// # Errors
    /// [`SendError`] says what failed, where, and what to do: the command that makes a missing stream
    /// or consumer, too.
    pub async fn open(&self) -> Result<NatsConsumer, SendError> {
        let (stream, name) = (&self.stream, &self.consumer);
        let connection = self.server().connect(&format!("{stream}.{name}")).await?;
        let request = connection.jetstream.get_consumer_from_stream(name, stream);
        let found: Result<PullConsumer, _> = connection.unless_refused(request).await?;
        let at = connection.server().to_owned();
        let add = format!("nats consumer add {stream} {name} --pull --ack explicit --defaults");
        let consumer = found.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(error) => match error.error_code() {
                ErrorCode::STREAM_NOT_FOUND => SendError::transient(format!(
                    "{at}: there is no stream `{stream}`; make one: `nats stream add {stream} \
                     --subjects 'energi.*.frames' --storage file --defaults`, and then `{add}`"
                )),
                ErrorCode::CONSUMER_NOT_FOUND => SendError::transient(format!(
                    "{at}: the stream `{stream}` has no consumer `{name}`; make one: `{add}`"
                )),
                _ => connection.refusal(&error),
            },
            ConsumerErrorKind::InvalidConsumerType => SendError::Permanent(format!(
                "{at}: the consumer `{name}` pushes its messages; make another one: `{add}`"
            )),
            _ => SendError::transient(format!("{at}: {error}")),
        })?;
        let config = &consumer.cached_info().config;
        if config.ack_policy != AckPolicy::Explicit {
            return Err(SendError::Permanent(format!(
                "{at}: the consumer `{name}` does not wait for each acknowledgement; make another \
                 one: `{add}`"
            )));
        }
        let ack_wait = if config.ack_wait.is_zero() { ACK_WAIT } else { config.ack_wait };
        Ok(NatsConsumer { connection, consumer, requested: None, ack_wait })
    }
}

/// A message that waits to be acknowledged.
#[derive(Debug, Clone)]
pub struct NatsMessage {
    /// Number in the stream.
    pub sequence: u64,
    /// Subject that the message was sent to.
    pub subject: String,
    /// Content of the message.
    pub payload: Vec<u8>,
    /// Address of its acknowledgement.
    pub receipt: NatsReceipt,
}

/// Address of a message's acknowledgement, over any connection.
#[derive(Debug, Clone)]
pub struct NatsReceipt(Subject);

/// Answer to the server about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done: never send it again.
    Done,
    /// Still at it: do not send it again yet.
    Working,
    /// Useless: never send it again.
    Useless,
}

/// A consumer that is read.
pub struct NatsConsumer {
    connection: NatsConnection,
    consumer: PullConsumer,
    /// The request for messages that is with the server.
    requested: Option<pull::Batch>,
    ack_wait: Duration,
}

impl std::fmt::Debug for NatsConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConsumer").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl NatsConsumer {
    /// The server, and what of the consumer waits there.
    #[must_use]
    pub fn describe(&self) -> String {
        let info = self.consumer.cached_info();
        let (stream, name, waiting) = (&info.stream_name, &info.name, info.num_pending);
        let server = self.connection.describe();
        format!("{server}; consumer {name} of stream {stream}: {waiting} messages to read")
    }

    /// Time after which the server sends a message again that has no answer.
    #[must_use]
    pub const fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Returns whether the connection stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Returns whether a request for messages is with the server.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.requested.is_some()
    }

    /// Asks the server for so many messages at most, as they come.
    ///
    /// # Errors
    /// [`SendError::Transient`] where the connection broke.
    pub async fn ask(&mut self, most: usize) -> Result<(), SendError> {
        let request = self.consumer.batch().max_messages(most).expires(REQUEST).messages().await;
        self.requested = Some(request.map_err(|error| self.failed(&error))?);
        Ok(())
    }

    /// The next message that was asked for; `None` once the request has ended. Nothing is lost where
    /// nobody waits for the result any more.
    ///
    /// # Errors
    /// [`SendError`] where the server refuses, or the consumer has gone.
    pub async fn next(&mut self) -> Result<Option<NatsMessage>, SendError> {
        let Some(requested) = &mut self.requested else { return Ok(None) };
        match self.connection.unless_refused(requested.next()).await? {
            Some(Ok(message)) => message_of(message).map(Some).map_err(|error| self.failed(&error)),
            Some(Err(error)) => Err(self.failed(&error)),
            None => {
                self.requested = None;
                Ok(None)
            }
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> SendError {
        SendError::transient(format!("{}: {error}", self.connection.server()))
    }

    /// Tells the server about a message.
    ///
    /// # Errors
    /// [`SendError::Transient`] where the connection broke.
    pub async fn answer(&self, receipt: &NatsReceipt, answer: Answer) -> Result<(), SendError> {
        let kind = match answer {
            Answer::Done => AckKind::Ack,
            Answer::Working => AckKind::Progress,
            Answer::Useless => AckKind::Term,
        };
        let client = self.connection.jetstream.client();
        let sent = client.publish(receipt.0.clone(), kind.into()).await;
        sent.map_err(|error| self.failed(&error))
    }

    /// Waits until the answers are with the server.
    ///
    /// # Errors
    /// [`SendError::Transient`] where the connection broke.
    pub async fn flush(&self, limit: Duration) -> Result<(), SendError> {
        self.connection.flush(limit).await
    }
}

fn message_of(message: jetstream::Message) -> Result<NatsMessage, async_nats::Error> {
    let sequence = message.info()?.stream_sequence;
    let message = message.message;
    let reply = message.reply.ok_or("a message without an address for its acknowledgement")?;
    Ok(NatsMessage {
        sequence,
        subject: message.subject.to_string(),
        payload: message.payload.to_vec(),
        receipt: NatsReceipt(reply),
    })
}
