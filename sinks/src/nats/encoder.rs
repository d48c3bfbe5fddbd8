//! Frames as items of the queue, and a batch of them as a message.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use ring::digest::{Context as Digest, SHA256};
use tokio::sync::Mutex;

use super::config::NatsConfig;
use super::server::{NatsConnection, NatsServer};
use crate::item::CapturedFrame;
use crate::pcapng::PcapngWriter;
use crate::queue::Payload;
use crate::runner::{Encoder, Receipt, SendError};

/// Stands for a frame's interface where the source has none.
const NO_INTERFACE: &str = "-";

/// Name of a stream that nobody has: a message that asks for it is refused by the stream that takes the
/// subject, and so tells that there is one.
const NO_STREAM: &str = "energi-gateway-check";

/// A subject as frames see it.
#[derive(Debug)]
pub struct FrameEncoder {
    server: NatsServer,
    name: String,
    subject: String,
    /// `None` while there is none, and while a message is under way: one that nobody waits for any more
    /// takes its connection with it.
    connection: Mutex<Option<NatsConnection>>,
}

impl FrameEncoder {
    /// An encoder for the subject that a sink's configuration names.
    #[must_use]
    pub fn new(config: &NatsConfig) -> Self {
        let server = config.server();
        let name = server.url.to_string();
        Self { server, name, subject: config.subject.clone(), connection: Mutex::new(None) }
    }

    /// Publishes, and waits for the stream's answer.
    async fn publish(
        &self,
        connection: &NatsConnection,
        message: PublishMessage,
    ) -> Result<(), SendError> {
        let request =
            async { connection.jetstream.send_publish(self.subject.clone(), message).await?.await };
        match connection.unless_refused(request).await? {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(connection, &error)),
        }
    }

    fn failure(&self, connection: &NatsConnection, error: &PublishError) -> SendError {
        let server = &self.name;
        match error.kind() {
            // A cluster says so too while it chooses another leader for the stream.
            PublishErrorKind::StreamNotFound => SendError::transient(format!(
                "{server}: no stream takes the subject {0}; if there is none, make one: `nats stream \
                 add energi --subjects '{0}' --storage file --defaults`",
                self.subject
            )),
            PublishErrorKind::MaxPayloadExceeded => {
                SendError::TooLarge(format!("{server}: larger than its `max_payload`"))
            }
            PublishErrorKind::TimedOut => {
                SendError::transient(format!("{server}: no answer in time (`timeout`)"))
            }
            PublishErrorKind::BrokenPipe => {
                SendError::transient(format!("{server}: the connection broke"))
            }
            _ => match api_error(error) {
                Some(error) => connection.refusal(error),
                None => SendError::transient(format!("{server}: {error}")),
            },
        }
    }
}

/// Finds the error of the server's `JetStream`.
fn api_error(error: &PublishError) -> Option<&jetstream::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

#[async_trait]
impl Encoder for FrameEncoder {
    type Item = CapturedFrame;

    /// A message that is joined with another one would be stored twice.
    const JOINS: bool = false;

    fn destination(&self) -> &str {
        &self.name
    }

    /// A line: time in microseconds since 1970, interface, frame in Base64.
    fn encode(&self, frames: &[Arc<CapturedFrame>]) -> Payload {
        let mut lines = String::new();
        for frame in frames {
            let Some(time) = frame.time else { continue };
            let interface = frame.interface.as_deref().filter(|name| !name.contains(' '));
            // Writing to a text does not fail.
            let _infallible = writeln!(
                lines,
                "{} {} {}",
                time.as_microsecond(),
                interface.unwrap_or(NO_INTERFACE),
                STANDARD.encode(&frame.bytes)
            );
        }
        lines.into()
    }

    async fn send(&self, payload: &Payload) -> Result<Receipt, SendError> {
        let capture = capture(&payload.text())
            .map_err(|error| SendError::Invalid(format!("not frames: {error}")))?;
        let id = message_id(&self.subject, &payload.data);
        let message = PublishMessage::build().payload(capture.into()).message_id(id);
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) if connection.is_open() => connection,
            _ => self.server.connect(&self.subject).await?,
        };
        let published = self.publish(&connection, message).await;
        // After any other failure the server may have changed: the next try begins with a new one.
        if let Ok(()) | Err(SendError::TooLarge(_)) = published {
            *slot = Some(connection);
        }
        published.map(|()| Receipt::default())
    }

    async fn probe(&self) -> Result<String, SendError> {
        let connection = self.server.connect(&self.subject).await?;
        let message = PublishMessage::build().expected_stream(NO_STREAM);
        let request =
            async { connection.jetstream.send_publish(self.subject.clone(), message).await?.await };
        match connection.unless_refused(request).await? {
            Err(error)
                if api_error(&error).map(jetstream::Error::error_code)
                    != Some(ErrorCode::STREAM_NOT_MATCH) =>
            {
                Err(self.failure(&connection, &error))
            }
            _ => Ok(format!("{}; a stream takes {}", connection.describe(), self.subject)),
        }
    }
}

/// The id of a message: that of the same frames for the same subject is the same.
fn message_id(subject: &str, items: &[u8]) -> String {
    let mut digest = Digest::new(&SHA256);
    for part in [subject.as_bytes(), b"\n", items] {
        digest.update(part);
    }
    let digest = digest.finish();
    STANDARD.encode(digest.as_ref().get(..18).unwrap_or_default())
}

/// The frames of a batch as a gzipped pcapng.
fn capture(lines: &str) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let interface = lines.split(' ').nth(1).filter(|name| *name != NO_INTERFACE);
    let output = GzEncoder::new(Vec::new(), Compression::default());
    let mut writer = PcapngWriter::new(output, interface)?;
    for line in lines.lines() {
        let mut words = line.split(' ');
        let (time, frame) = (words.next(), words.nth(1));
        let time = time.and_then(|time| time.parse().ok()).ok_or_else(damaged)?;
        let time = Timestamp::from_microsecond(time).map_err(io::Error::other)?;
        let frame = STANDARD.decode(frame.ok_or_else(damaged)?).map_err(|_| damaged())?;
        writer.write(time, &frame)?;
    }
    let mut output = writer.into_inner();
    output.flush()?;
    output.finish()
}
