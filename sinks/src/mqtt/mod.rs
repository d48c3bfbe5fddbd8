//! `mqtt`: values on the topics of `mqtt-energi`, and everything that Home Assistant likes to know.

mod broker;
mod config;
#[allow(dead_code, reason = "nobody asks yet")]
mod discovery;
mod message;
mod status;
mod topics;

use async_trait::async_trait;

use crate::settings::Problem;
use crate::sink::{Context, Sink, SinkConfig, SinkError};

pub use broker::{Broker, BrokerError};
pub use config::{Config, Discovery};
pub use message::{Assurance, Message};
pub use topics::{OFFLINE, ONLINE, Topics};

#[async_trait]
impl SinkConfig for Config {
    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    async fn open(&self, _context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        Err(SinkError::Broken("mqtt does not publish yet".to_owned()))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Err(SinkError::Broken("mqtt does not publish yet".to_owned()))
    }

    fn is_remote(&self) -> bool {
        true
    }
}
