//! A socket that listens on an interface, read through pnet.

use std::fmt;
use std::io;
use std::time::Duration;

use energi_decoders::frame::MULTICAST;
use libc::{EACCES, EAFNOSUPPORT, EINVAL, EPERM};
use pnet::datalink::{self, ChannelType, Config, DataLinkReceiver};
use thiserror::Error;

use super::interface::{self, InterfaceName, LinkState};
use super::socket::{CaptureFilter, KernelStatistics, PacketSocket};
use super::{CaptureError, LiveSettings, is_harmless, permission};

/// How long a read waits for a frame: the capture thread sees a stop this soon.
pub(super) const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// Why an interface cannot be listened on now.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    /// The operating system forbids it.
    #[error("{}", permission::mend(.0))]
    Permission(io::Error),
    /// The interface is away; it may come.
    #[error("{0}")]
    Away(LinkState),
    /// It is there, but no card that speaks Ethernet.
    #[error("not an Ethernet interface, and the devices speak Ethernet only")]
    NotEthernet,
    /// Anything else.
    #[error("{doing}: {error}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
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

/// Opens a packet socket that hears nothing yet.
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

/// An open channel: ours to ask, pnet's to read.
pub(super) struct Channel {
    socket: PacketSocket,
    receiver: Box<dyn DataLinkReceiver>,
    index: u32,
}

impl Channel {
    /// Listens on the interface that has the name now.
    pub(super) fn open(settings: &LiveSettings, filter: CaptureFilter) -> Result<Self, OpenError> {
        let socket = open_socket(filter)?;
        let index = socket
            .index_of(settings.interface.as_str())
            .map_err(OpenError::failed("looking the interface up"))?;
        let interface = interface::by_index(index).ok_or(OpenError::Away(LinkState::Missing))?;
        if !interface.is_up() {
            return Err(OpenError::Away(LinkState::Down));
        }
        socket.enlarge_queue();
        socket.join(index, MULTICAST).map_err(|error| match error.raw_os_error() {
            Some(EINVAL) => OpenError::NotEthernet,
            _ => OpenError::failed("joining the multicast group")(error),
        })?;
        if settings.promiscuous {
            Self::disable_card_filter(&socket, index)?;
        }
        if filter == CaptureFilter::Everything
            && let Err(error) = socket.ignore_own()
        {
            tracing::debug!(%error, "what this machine sends is heard as well");
        }
        let descriptor =
            socket.descriptor().map_err(OpenError::failed("sharing the packet socket"))?;
        let config = Config {
            socket_fd: Some(descriptor),
            // pnet binds the socket it is given to this ethertype, where its default binds it to
            // every one: then each frame on the LAN would meet our filter, and what other programs
            // on this machine send would be heard as if devices had sent it. The price: a frame
            // behind two VLAN tags is not heard. Frames keep their Ethernet header, for
            // that is the socket's own kind.
            channel_type: ChannelType::Layer3(filter.ethertype()),
            promiscuous: false,
            read_timeout: Some(READ_TIMEOUT),
            ..Config::default()
        };
        let channel = datalink::channel(&interface, config)
            .map_err(OpenError::failed("binding the packet socket"))?;
        match channel {
            // The sending half is dropped: the gateway never transmits.
            datalink::Channel::Ethernet(_, receiver) => Ok(Self { socket, receiver, index }),
            _ => Err(OpenError::NotEthernet),
        }
    }

    /// Switches the network card's own filter off, for as long as the channel is open.
    pub(super) fn hear_unfiltered(&self) -> Result<(), OpenError> {
        Self::disable_card_filter(&self.socket, self.index)
    }

    fn disable_card_filter(socket: &PacketSocket, index: u32) -> Result<(), OpenError> {
        socket.hear_everything(index).map_err(OpenError::failed("switching promiscuous mode on"))
    }

    /// The next frame, Ethernet header first. Waits for [`READ_TIMEOUT`] at most.
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        self.receiver.next()
    }

    /// What is wrong with the interface after a read failed with `error`.
    ///
    /// Where the interface went away pnet reports an unexpected poll event, at once and for ever,
    /// until the error that waits on the socket is taken off it.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        self.socket.take_error().unwrap_or(error)
    }

    /// As [`Channel::receive`]; an error that is no mere wait is [explained](Channel::explain).
    pub(super) fn receive_explained(&mut self) -> io::Result<&[u8]> {
        let Self { socket, receiver, .. } = self;
        receiver.next().map_err(|error| {
            if is_harmless(&error) { error } else { socket.take_error().unwrap_or(error) }
        })
    }

    /// Whether the interface of that name is still the one that is listened on. A socket whose
    /// interface was deleted stays silent for ever, even once another has its name.
    pub(super) fn is_on(&self, settings: &LiveSettings) -> bool {
        self.socket.index_of(settings.interface.as_str()).is_ok_and(|index| index == self.index)
    }

    /// The kernel's counts since they were last taken.
    pub(super) fn take_statistics(&self) -> io::Result<KernelStatistics> {
        self.socket.take_statistics()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("socket", &self.socket).finish_non_exhaustive()
    }
}
