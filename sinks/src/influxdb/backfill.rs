//! Points of the past, sent to the server itself and not by way of the queue: they are on a disk
//! already.

use std::sync::Arc;

use tracing::warn;

use super::client::Client;
use super::config::Config;
use super::delivery::{Dealt, Delivery};
use super::lines::{Encoder, Lines};
use crate::outbox::Aside;
use crate::sink::{Context, SinkError};

/// A way to a sink's server for points of the past.
#[derive(Debug)]
pub struct Backfill {
    sink: String,
    client: Arc<Client>,
    delivery: Delivery,
}

impl Config {
    /// A way to its server for points of the past, and what makes them.
    ///
    /// # Errors
    /// [`SinkError::Permanent`] where a file that it names cannot be used.
    pub async fn backfill(&self, context: &Context) -> Result<(Backfill, Encoder), SinkError> {
        let client = Arc::new(Client::new(self.clone()).await);
        client.ready()?;
        let delivery = Delivery::new(context.name.clone(), Arc::clone(&client));
        let encoder = Encoder::new(context.site.as_deref(), &context.device_names);
        Ok((Backfill { sink: context.name.clone(), client, delivery }, encoder))
    }
}

impl Backfill {
    /// Sends points as the sink does: in halves where they are too many for one request or one of
    /// them cannot be read.
    ///
    /// # Errors
    /// [`SinkError::Transient`] where the server may take them later, [`SinkError::Permanent`] where
    /// somebody has to mend something first. Some may have arrived: the same ones again change
    /// nothing.
    pub async fn send(&mut self, lines: Lines) -> Result<Dealt, SinkError> {
        let dealt = self.delivery.deliver(&mut lines.into()).await?;
        if let Some(Aside { item, reason, .. }) = dealt.aside.first() {
            let (points, address) = (dealt.aside.len(), self.client.address());
            warn!(
                sink = self.sink,
                points, "{address} cannot read points; they are left out ({reason}): {item}"
            );
        }
        Ok(dealt)
    }
}
