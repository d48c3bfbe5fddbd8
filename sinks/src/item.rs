//! Items that cross the channel to a sink: readings or, for a sink that asks for them, captured
//! frames.

use std::fmt;
use std::sync::Arc;

use energi_decoders::Reading;
use jiff::Timestamp;

use crate::sink::{Context, Sink, SinkConfig, SinkError};

/// A frame as it was captured, whether or not a decoder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedFrame {
    /// Time of the capture; `None` where the input does not say.
    pub time: Option<Timestamp>,
    /// Name of the interface that received it, where the source has one.
    pub interface: Option<Arc<str>>,
    /// The frame, from its Ethernet header on.
    pub bytes: Box<[u8]>,
}

/// Readings or frames, as the engine sees them.
pub trait Item: fmt::Debug + Send + Sync + Sized + 'static {
    /// Time of the capture; `None` where the input does not say.
    fn time(&self) -> Option<Timestamp>;

    /// Opens a sink that takes such items.
    ///
    /// # Errors
    /// [`SinkError`] says what failed, where, and what to do.
    fn open(
        config: &dyn SinkConfig,
        context: &Context,
    ) -> impl Future<Output = Result<Box<dyn Sink<Self>>, SinkError>> + Send;
}

impl Item for Reading {
    fn time(&self) -> Option<Timestamp> {
        self.time
    }

    async fn open(config: &dyn SinkConfig, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        config.open(context).await
    }
}

impl Item for CapturedFrame {
    fn time(&self) -> Option<Timestamp> {
        self.time
    }

    async fn open(
        config: &dyn SinkConfig,
        context: &Context,
    ) -> Result<Box<dyn Sink<Self>>, SinkError> {
        config.open_for_frames(context).await
    }
}
