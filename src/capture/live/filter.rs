//! The socket filter: which frames the kernel copies to us.

use energi_decoders::frame::ETHERTYPE;
use libc::{BPF_ABS, BPF_H, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET};
use socket2::SockFilter;

/// An IEEE 802.1Q tag's ethertype.
const CUSTOMER_TAG: u16 = 0x8100;
/// An IEEE 802.1ad outer tag's ethertype.
const SERVICE_TAG: u16 = 0x88a8;

const REJECT: u32 = 0;
/// Addresses, two VLAN tags and the ethertype.
const HEADER: u32 = 22;
/// A filter answers with the number of bytes to keep.
const WHOLE_FRAME: u32 = u32::MAX;

/// Passes the devices' ethertype, bare or behind one or two VLAN tags.
///
/// The kernel takes an outer 802.1Q tag off before it filters, so a tagged frame looks bare here;
/// the tag branches matter where a driver leaves a tag in place.
#[must_use]
pub(super) const fn device_frames() -> [SockFilter; 11] {
    else_only(REJECT)
}

/// Passes the devices' frames whole, and of every other frame the header.
#[must_use]
pub(super) const fn headers_of_others() -> [SockFilter; 11] {
    else_only(HEADER)
}

/// Passes the devices' frames whole, and so many bytes of the others.
const fn else_only(bytes: u32) -> [SockFilter; 11] {
    [
        ethertype_at(12),
        if_equal(ETHERTYPE, 8, 0),
        if_equal(CUSTOMER_TAG, 1, 0),
        if_equal(SERVICE_TAG, 0, 5),
        ethertype_at(16),
        if_equal(ETHERTYPE, 4, 0),
        if_equal(CUSTOMER_TAG, 0, 2),
        ethertype_at(20),
        if_equal(ETHERTYPE, 1, 0),
        answer(bytes),
        answer(WHOLE_FRAME),
    ]
}

/// Loads the 16-bit field at `offset`; a frame too short for it is rejected by the kernel.
const fn ethertype_at(offset: u32) -> SockFilter {
    SockFilter::new(code(BPF_LD | BPF_H | BPF_ABS), 0, 0, offset)
}

/// Skips `yes` instructions where the loaded field is `value`, else `no`.
const fn if_equal(value: u16, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(code(BPF_JMP | BPF_JEQ | BPF_K), yes, no, value as u32)
}

const fn answer(bytes: u32) -> SockFilter {
    SockFilter::new(code(BPF_RET | BPF_K), 0, 0, bytes)
}

/// Instruction codes are 16 bits wide; libc types their parts as 32.
#[expect(clippy::cast_possible_truncation, reason = "every BPF code is below 0x100")]
const fn code(parts: u32) -> u16 {
    parts as u16
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Runs the filter in the kernel, which takes one on any socket: no privilege needed.
    fn passes(frame: &[u8]) -> bool {
        let passed = through(&device_frames(), frame);
        assert!(passed.is_empty() || passed == frame, "a frame that passes passes whole");
        !passed.is_empty()
    }

    /// Returns what of `frame` the kernel passes on.
    fn through(filter: &[SockFilter], frame: &[u8]) -> Vec<u8> {
        const MARK: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5];
        let (sender, mut receiver) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        receiver.attach_filter(filter).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // A rejected datagram is not queued; the kernel may tell the sender so.
        let _ = sender.send(frame);
        sender.send(&MARK).unwrap();
        let mut buffer = [0; 2048];
        let length = receiver.read(&mut buffer).unwrap();
        let passed = &buffer[..length];
        if passed == MARK { Vec::new() } else { passed.to_vec() }
    }

    fn frame(after_addresses: &[u8]) -> Vec<u8> {
        [&[0xaa; 12], after_addresses, &[0x55; 1000]].concat()
    }

    #[test]
    fn device_frames_pass_with_any_vlan_tags() {
        assert!(passes(&frame(&[0x88, 0xb5])));
        assert!(passes(&frame(&[0x81, 0, 0, 10, 0x88, 0xb5])));
        assert!(passes(&frame(&[0x88, 0xa8, 0, 10, 0x88, 0xb5])));
        assert!(passes(&frame(&[0x88, 0xa8, 0, 10, 0x81, 0, 0, 11, 0x88, 0xb5])));
    }

    #[test]
    fn everything_else_stays_in_the_kernel() {
        assert!(!passes(&frame(&[0x08, 0x00])));
        assert!(!passes(&frame(&[0x86, 0xdd])));
        assert!(!passes(&frame(&[0x81, 0, 0, 10, 0x08, 0x00])));
        assert!(!passes(&frame(&[0x88, 0xa8, 0, 10, 0x81, 0, 0, 11, 0x08, 0x06])));
        assert!(!passes(&frame(&[0x08, 0x00, 0x88, 0xb5])));
        assert!(!passes(&[0xaa; 13]));
        assert!(!passes(&[]));
    }

    #[test]
    fn only_the_header_of_others_passes() {
        let ours = frame(&[0x88, 0xb5]);
        assert_eq!(through(&headers_of_others(), &ours), ours);
        let other = frame(&[0x81, 0, 0, 10, 0x81, 0, 0, 11, 0x08, 0x00]);
        assert_eq!(through(&headers_of_others(), &other), other[..22]);
    }
}
