//! Kinds of values that sinks and the gateway take from YAML.

mod amount;
mod queue;
mod secret;
mod tariff;

use thiserror::Error;

pub use amount::{Period, Size};
pub use queue::{QueueConfig, QueueOptions};
pub use secret::{Secret, SecretError, check_pair, resolve};
pub use tariff::{Price, Tariff};

/// Problem of a value that reads well in itself. The key names its place within the section that
/// was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}: {problem}")]
pub struct Problem {
    /// The key, such as `retention.samples`.
    pub key: String,
    /// Problem and remedy.
    pub problem: String,
}

impl Problem {
    /// A problem with the value of `key`.
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}
