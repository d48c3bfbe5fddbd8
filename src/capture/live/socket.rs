//! A packet socket that hears the devices' frames, and of others the header at most.
#![allow(
    unsafe_code,
    reason = "socket2 and rustix have no PACKET_ADD_MEMBERSHIP and no PACKET_STATISTICS"
)]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use energi_decoders::MacAddress;
use energi_decoders::frame::ETHERTYPE;
use libc::{c_int, c_ushort, packet_mreq, socklen_t, tpacket_stats};
use socket2::{Domain, Socket, Type};

use super::filter;

/// What the socket asks the kernel to queue, in bytes: a second of 20,000 frames, at the 830
/// bytes that a queued frame is charged. Only frames that wait take memory.
const RECEIVE_BUFFER: usize = 8 << 20;

/// The kernel's counts since they were last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KernelStatistics {
    /// Frames that passed the filter, the dropped ones among them.
    pub(super) passed: u64,
    /// Frames that passed the filter and found the queue full.
    pub(super) dropped: u64,
}

/// What a socket is to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaptureFilter {
    /// The devices' frames.
    Devices,
    /// The devices' frames, and the header of every other one.
    Everything,
}

impl CaptureFilter {
    /// The ethertype that the socket is bound to.
    pub(super) fn ethertype(self) -> u16 {
        /// `ETH_P_ALL` of packet(7).
        const EVERY_ETHERTYPE: u16 = 3;
        match self {
            Self::Devices => ETHERTYPE,
            Self::Everything => EVERY_ETHERTYPE,
        }
    }
}

/// A raw packet socket of ours, with the filter attached before it hears anything.
///
/// Memberships belong to the socket: the kernel takes them back when it closes, however the
/// program ends. Interface flags are never touched.
#[derive(Debug)]
pub(super) struct PacketSocket(Socket);

impl PacketSocket {
    /// Opens the socket. Protocol 0: it is deaf until it is bound.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`; `EAFNOSUPPORT` where a sandbox allows no packet sockets.
    pub(super) fn open(filter: CaptureFilter) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&match filter {
            CaptureFilter::Devices => filter::device_frames(),
            CaptureFilter::Everything => filter::headers_of_others(),
        })?;
        Ok(Self(socket))
    }

    /// The index that `interface` has now.
    ///
    /// # Errors
    /// `ENODEV` where there is none of that name.
    pub(super) fn index_of(&self, interface: &str) -> io::Result<u32> {
        Ok(rustix::net::netdevice::name_to_index(&self.0, interface)?)
    }

    /// Makes the queue as large as the system lets us: beyond `net.core.rmem_max` only with
    /// `CAP_NET_ADMIN`. The default holds 264 frames, minutes of real traffic, so a refusal is
    /// no error.
    pub(super) fn enlarge_queue(&self) {
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.0, RECEIVE_BUFFER).is_err()
            && let Err(error) = self.0.set_recv_buffer_size(RECEIVE_BUFFER)
        {
            tracing::debug!(%error, "the receive buffer keeps its default size");
        }
    }

    /// Lets the frames of `group` through the network card's own filter.
    ///
    /// # Errors
    /// `EINVAL` where the interface is no Ethernet one, `ENODEV` where it is gone.
    pub(super) fn join(&self, index: u32, group: MacAddress) -> io::Result<()> {
        self.add_membership(index, libc::PACKET_MR_MULTICAST, &group.0)
    }

    /// Switches the network card's own filter off, for as long as this socket is open.
    ///
    /// # Errors
    /// `ENODEV` where the interface is gone.
    pub(super) fn hear_everything(&self, index: u32) -> io::Result<()> {
        self.add_membership(index, libc::PACKET_MR_PROMISC, &[])
    }

    fn add_membership(&self, index: u32, kind: c_int, address: &[u8]) -> io::Result<()> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let mut request = packet_mreq {
            mr_ifindex: c_int::try_from(index).map_err(|_| invalid())?,
            mr_type: c_ushort::try_from(kind).map_err(|_| invalid())?,
            mr_alen: c_ushort::try_from(address.len()).map_err(|_| invalid())?,
            mr_address: [0; 8],
        };
        request.mr_address.get_mut(..address.len()).ok_or_else(invalid)?.copy_from_slice(address);
        // SAFETY: the descriptor is open for as long as `self.0` lives, and the pointer and the
        // length are those of `request`, which the kernel only reads, during the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                length_of::<packet_mreq>(),
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Leaves out what this machine sends, which a socket for every ethertype hears as well.
    ///
    /// # Errors
    /// `ENOPROTOOPT` before Linux 4.20.
    pub(super) fn ignore_own(&self) -> io::Result<()> {
        let on: c_int = 1;
        // SAFETY: the descriptor is open for as long as `self.0` lives, and the pointer and the
        // length are those of `on`, which the kernel only reads, during the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                length_of::<c_int>(),
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads the kernel's counts, which sets them to zero.
    ///
    /// # Errors
    /// None that an open packet socket has.
    pub(super) fn take_statistics(&self) -> io::Result<KernelStatistics> {
        let mut counts = tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = length_of::<tpacket_stats>();
        // SAFETY: the descriptor is open for as long as `self.0` lives; the kernel writes at most
        // `length` bytes, the size of `counts`, and writes the length back; both outlive the call.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(KernelStatistics { passed: counts.tp_packets.into(), dropped: counts.tp_drops.into() })
    }

    /// The error that waits on the socket, which is cleared. While one waits `poll` returns at
    /// once, for ever.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.0.take_error().ok().flatten()
    }

    /// A second descriptor of this same socket, for pnet, which closes the one it is given.
    ///
    /// # Errors
    /// The process may have no more descriptors.
    pub(super) fn descriptor(&self) -> io::Result<RawFd> {
        Ok(self.0.try_clone()?.into_raw_fd())
    }
}

/// A size as the socket calls take it; those of the two structs here are below 32.
#[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
const fn length_of<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}
