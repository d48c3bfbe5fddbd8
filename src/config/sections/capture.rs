//! The `capture` section: where frames come from.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use energi_decoders::{Product, scalar};
use energi_sinks::Backpressure;
#[cfg(feature = "nats")]
use energi_sinks::nats::NatsConsumerConfig;
use energi_sinks::settings::Problem;

use crate::capture::Speed;
use crate::capture::live::InterfaceName;
use crate::capture::remote::RemoteAddress;

/// Source of frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Capture {
    /// A network interface.
    Live(Live),
    /// Another machine.
    Remote(Remote),
    /// A stream of captures that sites send.
    #[cfg(feature = "nats")]
    Nats(Box<NatsConsumerConfig>),
    /// A capture file or stream.
    Replay(Replay),
    /// A made-up household.
    Simulator(Simulator),
}

impl Capture {
    /// Returns whether readings carry the time of this machine's clock: a recording and a made-up
    /// household have times of their own.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(_) | Self::Remote(_))
    }

    /// A recording and a stream that a server keeps wait for the sinks; the world does not, nor does a
    /// household simulated in its own time.
    #[must_use]
    pub fn backpressure(&self) -> Backpressure {
        match self {
            Self::Replay(_) => Backpressure::Wait,
            #[cfg(feature = "nats")]
            Self::Nats(_) => Backpressure::Wait,
            Self::Simulator(simulator) if simulator.speed == Speed::Max => Backpressure::Wait,
            Self::Live(_) | Self::Remote(_) | Self::Simulator(_) => Backpressure::DropOldest,
        }
    }

    /// Returns whether frames come as long as there are devices, so that nobody waits for the end.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        #[cfg(feature = "nats")]
        if matches!(self, Self::Nats(_)) {
            return true;
        }
        self.backpressure() == Backpressure::DropOldest
    }

    pub(in crate::config) fn validate(&self) -> Vec<Problem> {
        match self {
            Self::Live(_) => Vec::new(),
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => consumer.problems(),
            Self::Remote(remote) => remote.validate(),
            Self::Replay(replay) => replay.validate(),
            Self::Simulator(simulator) => simulator.validate(),
        }
    }
}

/// Describes the capture in a few words for people.
impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live(live) => write!(f, "live on {}", live.interface.as_str()),
            #[cfg(feature = "nats")]
            Self::Nats(nats) => {
                let NatsConsumerConfig { url, stream, consumer, .. } = &**nats;
                write!(f, "stream {stream} of {url} as {consumer}")
            }
            Self::Replay(replay) if replay.path.as_os_str() == "-" => {
                f.write_str("replay of standard input")
            }
            Self::Replay(replay) => write!(f, "replay of {}", replay.path.display()),
            Self::Remote(remote) => match remote.address() {
                Some(address) => write!(f, "{address}"),
                None => f.write_str("another machine"),
            },
            Self::Simulator(_) => f.write_str("a simulated household"),
        }
    }
}

/// Frames of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// The name, such as `eth0`.
    pub interface: InterfaceName,
    /// True if the interface is asked for every frame on the wire; needed only where it does not
    /// filter multicast properly.
    #[serde(default)]
    pub promiscuous: bool,
}

/// Frames that another machine captures: a pcap or pcapng stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// A program and its arguments, whose standard output is the stream. No shell is between.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A TCP server that sends the stream, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
}

impl Remote {
    /// Address of the stream, where exactly one is given.
    #[must_use]
    pub fn address(&self) -> Option<RemoteAddress> {
        match (self.command.as_slice(), &self.connect) {
            ([], Some(address)) => Some(RemoteAddress::Connect(address.clone())),
            ([_, ..], None) => Some(RemoteAddress::Command(self.command.clone())),
            _ => None,
        }
    }

    fn validate(&self) -> Vec<Problem> {
        let has_port = |address: &str| {
            address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        match (self.command.as_slice(), &self.connect) {
            ([], None) => vec![Problem::new(
                "",
                "say where the stream comes from: `command: [ssh, ...]` or `connect: \"host:port\"`",
            )],
            ([_, ..], Some(_)) => {
                vec![Problem::new("connect", "give `command` or `connect`, not both")]
            }
            ([program, ..], None) if program.is_empty() => {
                vec![Problem::new("command", "the first word is the program to start")]
            }
            ([], Some(address)) if !has_port(address) => {
                vec![Problem::new("connect", "write `host:port`, such as `\"router:3002\"`")]
            }
            _ => Vec::new(),
        }
    }
}

/// Frames of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// A pcap, pcapng (gzipped too) or `.bin` file, relative to the working directory, or `-` for
    /// a stream on standard input.
    pub path: PathBuf,
    /// Speed of the replay.
    #[serde(default)]
    pub speed: Speed,
}

impl Replay {
    fn validate(&self) -> Vec<Problem> {
        if self.path.as_os_str().is_empty() {
            return vec![Problem::new(
                "path",
                "name a capture file, or `\"-\"` for standard input",
            )];
        }
        Vec::new()
    }
}

/// Frames of a made-up household with an eddi.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulator {
    /// Number of eddis, or which products.
    pub devices: SimulatedDevices,
    /// The same seed gives the same household.
    pub seed: u64,
    /// Speed of simulated time.
    pub speed: Speed,
    /// Start of its time.
    pub start: Start,
}

/// More devices than any household has; each takes memory in every sink.
const MOST_DEVICES: usize = 100;

/// The devices of a simulated household.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number of eddis, or a list of `eddi`, `zappi` and `harvi`")]
pub enum SimulatedDevices {
    /// Number of eddis.
    Eddis(u32),
    /// List of products.
    Products(Vec<Product>),
}

impl SimulatedDevices {
    /// The products.
    #[must_use]
    pub fn products(&self) -> Vec<Product> {
        match self {
            Self::Eddis(count) => {
                vec![Product::Eddi; usize::try_from(*count).unwrap_or(MOST_DEVICES)]
            }
            Self::Products(products) => products.clone(),
        }
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self {
            devices: SimulatedDevices::Eddis(1),
            seed: 7,
            speed: Speed::Times(1.0),
            start: Start::Now,
        }
    }
}

impl Simulator {
    fn validate(&self) -> Vec<Problem> {
        let count = match &self.devices {
            SimulatedDevices::Eddis(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            SimulatedDevices::Products(products) => products.len(),
        };
        if (1..=MOST_DEVICES).contains(&count) {
            return Vec::new();
        }
        vec![Problem::new("devices", format!("simulate 1 to {MOST_DEVICES} devices"))]
    }
}

/// Start of simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Start of the gateway.
    #[default]
    Now,
    /// Given moment.
    At(Timestamp),
    /// Time of clocks in the configured time zone.
    Local(DateTime),
}

impl Start {
    /// The moment itself.
    ///
    /// # Errors
    /// A local time at the very edge of the calendar may be no moment at all.
    pub fn resolve(self, now: Timestamp, timezone: &TimeZone) -> Result<Timestamp, jiff::Error> {
        match self {
            Self::Now => Ok(now),
            Self::At(moment) => Ok(moment),
            Self::Local(local) => {
                local.to_zoned(timezone.clone()).map(|zoned: Zoned| zoned.timestamp())
            }
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => serializer.serialize_str("now"),
            Self::At(moment) => serializer.collect_str(moment),
            Self::Local(local) => serializer.collect_str(local),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "`now`, a local time such as 2026-06-20T06:00 or a moment such as \
                         2026-06-20T05:00:00Z";
        scalar::read(deserializer, expecting, |text| {
            let moment = || text.parse().map(Self::At).ok();
            let local = || text.parse().map(Self::Local).ok();
            if text == "now" { Some(Self::Now) } else { moment().or_else(local) }
        })
    }
}
