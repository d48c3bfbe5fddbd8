//! A packet socket that receives the devices' frames, and of others the header at most.
#![allow(
    unsafe_code,
    reason = "socket2 and rustix have no PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS and recvmmsg"
)]

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::time::Duration;

use energi_decoders::MacAddress;
use energi_decoders::frame::ETHERTYPE;
use libc::{
    c_int, c_ushort, cmsghdr, iovec, mmsghdr, packet_mreq, pollfd, socklen_t, tpacket_stats,
};
use socket2::{Domain, Socket, Type};

use super::filter;

/// Size of the queue that the socket asks the kernel for, in bytes: a second of 20,000 frames, at
/// the 830 bytes that a queued frame is charged. Only frames that wait take memory.
const RECEIVE_BUFFER: usize = 8 << 20;

/// The kernel's counts since they were last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KernelStatistics {
    /// Frames that passed the filter, the dropped ones among them.
    pub(super) passed: u64,
    /// Frames that passed the filter and found the queue full.
    pub(super) dropped: u64,
}

/// Frames that a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaptureFilter {
    /// The devices' frames.
    Devices,
    /// The devices' frames with their VLAN tags, however many. The socket is bound to every
    /// ethertype for it, since the kernel clears the tag before it asks for the ethertype.
    DevicesTagged,
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
            Self::DevicesTagged | Self::Everything => EVERY_ETHERTYPE,
        }
    }
}

/// A raw packet socket of ours, with the filter attached before it receives anything.
///
/// Memberships belong to the socket: the kernel takes them back when it closes, however the
/// program ends. Interface flags are never touched.
#[derive(Debug)]
pub(super) struct PacketSocket(Socket);

impl PacketSocket {
    /// Opens the socket. Protocol 0: nothing is received until it is bound.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`; `EAFNOSUPPORT` where a sandbox allows no packet sockets.
    pub(super) fn open(filter: CaptureFilter) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&match filter {
            CaptureFilter::Devices | CaptureFilter::DevicesTagged => filter::device_frames(),
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
    pub(super) fn receive_everything(&self, index: u32) -> io::Result<()> {
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

    /// Leaves out what this machine sends, which a socket for every ethertype receives as well.
    ///
    /// # Errors
    /// `ENOPROTOOPT` before Linux 4.20.
    pub(super) fn exclude_outgoing(&self) -> io::Result<()> {
        self.switch_on(libc::PACKET_IGNORE_OUTGOING)
    }

    /// Asks for the VLAN tag that the kernel takes off a frame.
    ///
    /// # Errors
    /// None that an open packet socket has.
    pub(super) fn keep_vlan_tags(&self) -> io::Result<()> {
        self.switch_on(libc::PACKET_AUXDATA)
    }

    fn switch_on(&self, option: c_int) -> io::Result<()> {
        let on: c_int = 1;
        // SAFETY: the descriptor is open for as long as `self.0` lives, and the pointer and the
        // length are those of `on`, which the kernel only reads, during the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                length_of::<c_int>(),
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until frames are queued, an error waits or `wake` is readable.
    ///
    /// # Errors
    /// `TimedOut` after `longest`; `Interrupted` by a signal or by `wake`.
    pub(super) fn wait(&self, longest: Duration, wake: Option<BorrowedFd<'_>>) -> io::Result<()> {
        match poll([self.0.as_raw_fd(), raw(wake)], longest)? {
            [true, _] => Ok(()),
            [false, true] => Err(io::ErrorKind::Interrupted.into()),
            [false, false] => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Takes what is queued into an empty batch, as much as fits, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is; the error that waits on the socket, such as `ENETDOWN`.
    pub(super) fn receive(&self, batch: &mut FrameBuffers) -> io::Result<()> {
        batch.next = 0;
        batch.filled = 0;
        let FrameBuffers { frames, control, .. } = &mut *batch;
        let mut parts = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; FRAMES];
        // SAFETY: all zeros is a message header without name, buffers and control data.
        let mut messages: [mmsghdr; FRAMES] = unsafe { std::mem::zeroed() };
        let slots = frames.iter_mut().zip(control.iter_mut());
        for ((part, message), (frame, control)) in
            parts.iter_mut().zip(messages.iter_mut()).zip(slots)
        {
            let room = &mut frame[TAG..];
            *part = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a few frames")]
        // SAFETY: the descriptor is open for as long as `self.0` lives. Each header has one part
        // and one control buffer with their true sizes, all of which outlive the call; the kernel
        // writes no more than those sizes.
        let count = unsafe {
            libc::recvmmsg(
                self.0.as_raw_fd(),
                messages.as_mut_ptr(),
                FRAMES as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        batch.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, message) in batch.lengths.iter_mut().zip(&messages) {
            *length = (message.msg_len as usize, message.msg_hdr.msg_controllen as _);
        }
        Ok(())
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
    /// once, each time.
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

/// Sleeps until `wake` is readable, for `longest` at most.
pub(super) fn sleep(longest: Duration, wake: Option<BorrowedFd<'_>>) {
    // A signal ends it early, which costs one round of the caller.
    let _ = poll([raw(wake), -1], longest);
}

fn raw(descriptor: Option<BorrowedFd<'_>>) -> RawFd {
    descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd())
}

/// Waits until either descriptor is readable, and returns which are. A negative one never is.
fn poll(descriptors: [RawFd; 2], longest: Duration) -> io::Result<[bool; 2]> {
    let mut fds = descriptors.map(|fd| pollfd { fd, events: libc::POLLIN, revents: 0 });
    // Rounded up, so that what is due then is due.
    let longest = longest.as_nanos().div_ceil(1_000_000);
    let longest = c_int::try_from(longest).unwrap_or(c_int::MAX);
    // SAFETY: the pointer and the length are those of `fds`, which outlives the call.
    match unsafe { libc::poll(fds.as_mut_ptr(), 2, longest) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(fds.map(|fd| fd.revents != 0)),
    }
}

/// Frames that are taken from the kernel at once.
const FRAMES: usize = 16;

/// The longest frame; the devices' are below 100 bytes.
const LONGEST: usize = 4096;

/// A VLAN tag, for which each buffer has room before the frame.
const TAG: usize = 4;

/// Offset of the data of a control message: its header, aligned.
const CONTROL_DATA: usize = size_of::<cmsghdr>().next_multiple_of(size_of::<usize>());

/// The size of `tpacket_auxdata` of `if_packet.h`.
const AUXDATA: usize = 20;

/// A control message with it.
const CONTROL: usize = CONTROL_DATA + AUXDATA.next_multiple_of(size_of::<usize>());

/// A control buffer, aligned as the kernel's structures are.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Frames that were taken from the kernel and not yet handed on.
pub(super) struct FrameBuffers {
    frames: Box<[[u8; TAG + LONGEST]; FRAMES]>,
    control: [Control; FRAMES],
    /// The length of each frame and of its control data.
    lengths: [(usize, usize); FRAMES],
    filled: usize,
    next: usize,
}

impl FrameBuffers {
    /// Buffers without frames. Only those that are used take memory.
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the vector has that many")]
        let frames = vec![[0; TAG + LONGEST]; FRAMES].try_into().expect("FRAMES buffers");
        let control = [Control([0; CONTROL]); FRAMES];
        Self { frames, control, lengths: [(0, 0); FRAMES], filled: 0, next: 0 }
    }

    /// Returns whether every frame was handed on.
    pub(super) const fn is_empty(&self) -> bool {
        self.next >= self.filled
    }

    /// Returns whether the kernel may have had more frames than fitted.
    pub(super) const fn was_full(&self) -> bool {
        self.filled == FRAMES
    }

    /// The next frame, with the VLAN tag that the kernel took off.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let index = self.next;
        if self.is_empty() {
            return None;
        }
        self.next += 1;
        let (length, control) = *self.lengths.get(index)?;
        let frame = self.frames.get_mut(index)?;
        let tag =
            self.control.get(index).and_then(|bytes| bytes.0.get(..control)).and_then(vlan_tag);
        let Some(tag) = tag.filter(|_| length >= ADDRESSES) else {
            return frame.get(TAG..TAG + length);
        };
        frame.copy_within(TAG..TAG + ADDRESSES, 0);
        frame.get_mut(ADDRESSES..ADDRESSES + TAG)?.copy_from_slice(&tag);
        frame.get(..TAG + length)
    }
}

impl fmt::Debug for FrameBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filled, next, .. } = self;
        f.debug_struct("FrameBuffers").field("filled", filled).field("next", next).finish()
    }
}

/// Bytes before the tag in a frame.
const ADDRESSES: usize = 12;

/// The tag in the control data of a frame, as it was on the wire.
fn vlan_tag(control: &[u8]) -> Option<[u8; TAG]> {
    /// `TP_STATUS_VLAN_VALID` and `TP_STATUS_VLAN_TPID_VALID` of `if_packet.h`.
    const HAS_TAG: u32 = 0x10;
    const HAS_ETHERTYPE: u32 = 0x40;
    /// IEEE 802.1Q, which kernels before 3.14 mean.
    const CUSTOMER_TAG: u16 = 0x8100;
    // The only kind of control data that the socket asks for.
    let auxdata = control.get(CONTROL_DATA..)?;
    let status = u32::from_ne_bytes(*auxdata.first_chunk()?);
    let half = |at: usize| auxdata.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes);
    let (control_information, ethertype) = (half(16)?, half(18)?);
    if status & HAS_TAG == 0 {
        return None;
    }
    let ethertype = if status & HAS_ETHERTYPE == 0 { CUSTOMER_TAG } else { ethertype };
    let ([a, b], [c, d]) = (ethertype.to_be_bytes(), control_information.to_be_bytes());
    Some([a, b, c, d])
}

/// A size as the socket calls take it; those of the two structs here are below 32.
#[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
const fn length_of<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}
