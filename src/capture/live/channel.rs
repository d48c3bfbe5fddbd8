//! A socket that listens on an interface, opened through pnet and read many frames at a time.

use std::io;
use std::time::Duration;

use energi_decoders::frame::MULTICAST;
use libc::{EACCES, EAFNOSUPPORT, EINVAL, EPERM};
use pnet::datalink::{self, ChannelType, Config};
use thiserror::Error;
use tracing::debug;

use super::interface::{self, InterfaceName, LinkState};
use super::socket::{CaptureFilter, FrameBuffers, KernelStatistics, PacketSocket};
use super::{CaptureError, LiveSettings, permission};
use crate::capture::stop::Stop;

/// Time that a read waits for a frame where nothing can wake it: a stop is seen this soon.
pub(super) const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// Reason why an interface cannot be listened on now.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    /// The operating system forbids it.
    #[error("{}", permission::remedy(.0))]
    Permission(io::Error),
    /// The interface is away; it may come.
    #[error("{0}")]
    Away(LinkState),
    /// The interface exists but does not carry Ethernet.
    #[error("not an Ethernet interface, and the devices speak Ethernet only")]
    NotEthernet,
    /// Anything else.
    #[error("{doing}: {error}")]
    Failed {
        /// Operation that failed.
        doing: &'static str,
        /// Error of the operating system.
        error: io::Error,
    },
}

impl OpenError {
    fn failed(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| match error.raw_os_error() {
            Some(EPERM | EACCES) => Self::Permission(error),
            Some(libc::ENODEV | libc::ENXIO) => Self::Away(LinkState::Missing),
            Some(libc::ENETDOWN) => Self::Away(LinkState::Down),
            _ => Self::Failed { doing, error },
        }
    }
}

impl OpenError {
    /// The error as a source's, where it is not waited out.
    pub(super) fn on(&self, interface: &InterfaceName) -> CaptureError {
        match self {
            Self::Permission(_) => CaptureError::Permission(self.to_string()),
            _ => CaptureError::Io(format!("cannot listen on {interface}: {self}")),
        }
    }
}

/// Opens a packet socket that receives nothing yet.
pub(super) fn open_socket(filter: CaptureFilter) -> Result<PacketSocket, OpenError> {
    PacketSocket::open(filter).map_err(|error| match error.raw_os_error() {
        Some(EAFNOSUPPORT) => OpenError::Failed {
            doing: "opening a packet socket, which a sandbox may forbid (under systemd, \
                    RestrictAddressFamilies= must list AF_PACKET)",
            error,
        },
        _ => OpenError::failed("opening a packet socket")(error),
    })
}

/// A socket that is bound to an interface.
#[derive(Debug)]
pub(super) struct Channel {
    socket: PacketSocket,
    frames: FrameBuffers,
    index: u32,
}

impl Channel {
    /// Listens on the interface that has the name now.
    pub(super) fn open(settings: &LiveSettings, filter: CaptureFilter) -> Result<Self, OpenError> {
        let socket = open_socket(filter)?;
        let index = socket
            .index_of(settings.interface.as_str())
            .map_err(OpenError::failed("looking the interface up"))?;
        let interface = interface::by_index(index)
            .map_err(OpenError::failed("listing the interfaces"))?
            .ok_or(OpenError::Away(LinkState::Missing))?;
        if !interface.is_up() {
            return Err(OpenError::Away(LinkState::Down));
        }
        socket.enlarge_queue();
        socket.join(index, MULTICAST).map_err(|error| match error.raw_os_error() {
            Some(EINVAL) => OpenError::NotEthernet,
            _ => OpenError::failed("joining the multicast group")(error),
        })?;
        if settings.promiscuous {
            receive_everything(&socket, index)?;
        }
        if filter != CaptureFilter::Devices
            && let Err(error) = socket.exclude_outgoing()
        {
            debug!(%error, "what this machine sends is received as well");
        }
        if let Err(error) = socket.keep_vlan_tags() {
            debug!(%error, "frames lack the VLAN tag that the kernel takes off");
        }
        let descriptor =
            socket.descriptor().map_err(OpenError::failed("sharing the packet socket"))?;
        let config = Config {
            socket_fd: Some(descriptor),
            // pnet binds the socket it is given to this ethertype, where its default binds it to
            // every one: then each frame on the LAN would meet our filter, and what other programs
            // on this machine send would be received as if devices had sent it. The price: a frame
            // behind two VLAN tags is not received. Frames keep their Ethernet header, for
            // that is the socket's own kind.
            channel_type: ChannelType::Layer3(filter.ethertype()),
            promiscuous: false,
            ..Config::default()
        };
        let channel = datalink::channel(&interface, config)
            .map_err(OpenError::failed("binding the packet socket"))?;
        match channel {
            // Both halves are dropped. The gateway never transmits, and pnet's receiver takes two
            // system calls for a frame where this one takes one for up to sixteen. The socket
            // stays bound.
            datalink::Channel::Ethernet(..) => {
                Ok(Self { socket, frames: FrameBuffers::new(), index })
            }
            _ => Err(OpenError::NotEthernet),
        }
    }

    /// Switches the network card's own filter off, for as long as the channel is open.
    pub(super) fn disable_card_filter(&self) -> Result<(), OpenError> {
        receive_everything(&self.socket, self.index)
    }

    /// The next frame, Ethernet header first.
    ///
    /// # Errors
    /// `TimedOut` where none comes for `longest`, `Interrupted` where `stop` is raised; what is
    /// wrong with the interface.
    pub(super) fn receive(&mut self, longest: Duration, stop: Option<&Stop>) -> io::Result<&[u8]> {
        if self.frames.is_empty() {
            self.fill(longest, stop)?;
        }
        self.frames.next().ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn fill(&mut self, longest: Duration, stop: Option<&Stop>) -> io::Result<()> {
        if self.frames.was_full() {
            match self.socket.receive(&mut self.frames) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        self.socket.wait(longest, stop.and_then(Stop::descriptor))?;
        self.socket.receive(&mut self.frames)
    }

    /// Returns what is wrong with the interface after a read failed with `error`.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        self.socket.take_error().unwrap_or(error)
    }

    /// Returns whether the interface of that name is still the one that is listened on. A socket
    /// whose interface was deleted stays silent, even once another has its name.
    pub(super) fn is_on(&self, settings: &LiveSettings) -> bool {
        self.socket.index_of(settings.interface.as_str()).is_ok_and(|index| index == self.index)
    }

    /// The kernel's counts since they were last taken.
    pub(super) fn take_statistics(&self) -> io::Result<KernelStatistics> {
        self.socket.take_statistics()
    }
}

fn receive_everything(socket: &PacketSocket, index: u32) -> Result<(), OpenError> {
    socket.receive_everything(index).map_err(OpenError::failed("switching promiscuous mode on"))
}
