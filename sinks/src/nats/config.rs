//! Configuration of a `nats` sink, as YAML has it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::server::{NatsServer, NatsUrls};
use crate::settings::{Period, Problem, QueueConfig, Secret};

/// A subject that a stream of a NATS server takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// The server, such as `tls://nats.example.org`, or several of a cluster.
    pub url: NatsUrls,
    /// Subject of the messages, such as `energi.mill-lane-4.frames`.
    pub subject: String,
    /// User who writes.
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
    /// The longest that a frame is nowhere but in memory: what a power cut may cost.
    #[serde(default = "ten_seconds")]
    pub batch: Period,
    /// A batch goes out as soon as it holds so many frames.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// Time that the server may take to answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Period,
    /// Queue of frames that the server has not confirmed.
    #[serde(default)]
    pub queue: QueueConfig,
}

const fn batch_size() -> usize {
    1_000
}

const fn ten_seconds() -> Period {
    Period::from_secs(10)
}

impl NatsConfig {
    /// The server, and how to log in there.
    pub(super) fn server(&self) -> NatsServer {
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

    /// Problems of its values.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server().problems();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        let part = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "*>".contains(c))
        };
        if !self.subject.split('.').all(part) || self.subject.starts_with(['$', '_']) {
            refuse(
                "subject",
                "write words with dots between them and no wildcard, such as \
                 energi.mill-lane-4.frames",
            );
        }
        if self.batch.is_zero() || self.batch > Period::from_secs(3_600) {
            refuse("batch", "take more than 0s, and 1h at most");
        }
        problems.extend(self.queue.problems(self.batch_size));
        problems
    }
}
