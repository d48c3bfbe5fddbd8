//! Sources of frames: a network interface, another machine, a stream of captures, a capture file, a
//! simulated household.

pub mod ethertype;
pub mod live;
#[cfg(feature = "nats")]
pub mod nats;
pub mod pacer;
pub mod remote;
pub mod replay;
pub mod simulator;
mod speed;
pub mod stop;

use energi_decoders::frame::split_ethernet;
use energi_decoders::{Frame, FrameError, MacAddress};
use jiff::Timestamp;
use thiserror::Error;

use self::stop::Stop;
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::Rights;

/// Writing captures.
pub use energi_sinks::pcapng;
pub use speed::Speed;

/// Link layer of a captured packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// The protocol's own header: the payload of a frame.
    Payload,
}

/// One captured packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Time of the capture; `None` where the input does not say.
    pub time: Option<Timestamp>,
    /// Link layer of `bytes`.
    pub link: Link,
    /// The packet itself, as far as it was captured.
    pub bytes: &'a [u8],
    /// The length on the wire.
    pub length: usize,
}

impl<'a> Packet<'a> {
    /// A packet that was captured to its end.
    #[must_use]
    pub const fn whole(time: Option<Timestamp>, link: Link, bytes: &'a [u8]) -> Self {
        Self { time, link, bytes, length: bytes.len() }
    }

    /// Returns whether the capture kept only its beginning, as `tcpdump -s` does.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.length
    }

    /// Returns whether the capture cut off records, given what follows those of its frame.
    #[must_use]
    pub fn lacks_records(&self, rest: &[u8]) -> bool {
        /// The shortest Ethernet frame: only shorter ones are padded.
        const SHORTEST: usize = 60;
        self.is_cut() && rest.first().map_or(self.length > SHORTEST, |byte| *byte != 0)
    }

    /// Checks the packet's envelope.
    ///
    /// # Errors
    /// [`FrameError`] says what about the bytes is not of this protocol.
    pub fn frame(&self) -> Result<Frame<'a>, FrameError> {
        match self.link {
            Link::Ethernet => Frame::parse(self.bytes),
            Link::Payload => Frame::parse_payload(self.bytes),
        }
    }

    /// Returns who sent the packet, where it says so, and what it carries, be it a whole frame or
    /// not.
    ///
    /// # Errors
    /// [`FrameError`] where its Ethernet header is not that of this protocol.
    pub fn payload(&self) -> Result<(Option<MacAddress>, &'a [u8]), FrameError> {
        match self.link {
            Link::Ethernet => split_ethernet(self.bytes).map(|(mac, bytes)| (Some(mac), bytes)),
            Link::Payload => Ok((None, self.bytes)),
        }
    }
}

/// Next event of a source.
#[derive(Debug)]
pub enum Event<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Nothing came for a moment: a chance to look at signals and clocks.
    Idle,
    /// Nothing will come any more.
    End,
}

/// Reason why a source gave up.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// No such input (exit code 66).
    #[error("{0}")]
    Missing(String),
    /// The input is damaged or of another kind (65).
    #[error("{0}")]
    Data(String),
    /// The operating system forbids it (77).
    #[error("{0}")]
    Permission(String),
    /// Reading failed (74).
    #[error("{0}")]
    Io(String),
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let exit = match error {
            CaptureError::Missing(_) => Exit::NoInput,
            CaptureError::Data(_) => Exit::Data,
            CaptureError::Permission(_) => Exit::Permission,
            CaptureError::Io(_) => Exit::Io,
        };
        Self::new(exit, error)
    }
}

/// A source of packets, driven by one blocking thread.
pub trait Source: Send {
    /// The next event. Returns within about 100 ms where nothing comes, so that the caller can
    /// stop, unless the input itself blocks (a stream on standard input); within seconds, or when
    /// `stop` is raised, after [`wake_on`](Self::wake_on).
    ///
    /// # Errors
    /// [`CaptureError`] once nothing more can be read; every packet before it has been given.
    fn next(&mut self) -> Result<Event<'_>, CaptureError>;

    /// Lets the source wait longer for its input: raising `stop` ends the wait.
    fn wake_on(&mut self, _stop: &Stop) {}

    /// Returns what the thread that drives it must still be allowed to do, now that it is open.
    fn rights(&self) -> Rights {
        Rights::None
    }

    /// Name of the interface that receives the packets, where there is one.
    fn interface(&self) -> Option<&str> {
        None
    }

    /// Returns whether [`next`](Self::next) may wait for as long as the input likes: that it does
    /// not return is no sign of trouble then.
    fn may_block(&self) -> bool {
        false
    }

    /// Returns whether it acknowledges what every sink has taken, and gets the rest again after a
    /// new start: it cannot go on without one of them.
    fn needs_every_sink(&self) -> bool {
        false
    }
}
