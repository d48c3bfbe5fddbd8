//! Counters and state of the whole gateway, for sinks that show them.

use std::fmt;
use std::sync::Arc;

/// A source of [`Snapshot`]s: the gateway itself.
pub trait GatewayStatus: fmt::Debug + Send + Sync {
    /// The counts as they are now. Cheap enough for every request of a monitoring system.
    fn snapshot(&self) -> Snapshot;
}

/// A handle on the status of the gateway that a sink runs in. The default knows of no gateway.
#[derive(Debug, Clone, Default)]
pub struct StatusHandle(Option<Arc<dyn GatewayStatus>>);

impl StatusHandle {
    /// A handle on `status`.
    #[must_use]
    pub fn new(status: Arc<dyn GatewayStatus>) -> Self {
        Self(Some(status))
    }

    /// The counts as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.as_ref().map_or_else(Snapshot::default, |status| status.snapshot())
    }
}

/// The counts of a gateway at one moment. All of them grow from the start of the gateway on, but for
/// [`SinkSnapshot::waiting`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Stuck tasks: empty while the gateway is healthy, even on a silent network.
    pub stuck: Vec<String>,
    /// True if the source is open and every sink has been open.
    pub ready: bool,
    /// True if frames come from a network interface that is away now.
    pub interface_away: bool,
    /// Readings published to the sinks.
    pub readings: u64,
    /// Devices received.
    pub devices: u64,
    /// Records by length byte and outcome, those that are not zero.
    pub records: Vec<RecordCount>,
    /// Frames and readings that were not used, by reason. Every reason is there.
    pub unused: Vec<(&'static str, u64)>,
    /// Values that the gate has withheld, by key.
    pub withheld: Vec<(String, u64)>,
    /// Frames that the kernel dropped because nobody fetched them in time.
    pub kernel_drops: u64,
    /// The sinks, in the order of the configuration.
    pub sinks: Vec<SinkSnapshot>,
}

/// Number of records of one length with one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordCount {
    /// The packet-length byte.
    pub length: u8,
    /// The outcome, in a word such as `decoded`.
    pub outcome: &'static str,
    /// Number of them.
    pub count: u64,
}

/// The counts of one sink, in readings unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkSnapshot {
    /// The name in the configuration.
    pub name: String,
    /// True if the sink has been open.
    pub opened: bool,
    /// Taken from the channel.
    pub received: u64,
    /// Delivered to the destination.
    pub delivered: u64,
    /// Items without a place at the destination.
    pub skipped: u64,
    /// Waiting in the sink's queue now.
    pub waiting: u64,
    /// Given up.
    pub rejected: u64,
    /// Missed because the sink was too slow.
    pub lagged: u64,
    /// Tries that failed and were made again.
    pub retried: u64,
}
