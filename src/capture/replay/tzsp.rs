//! TZSP: captured frames that a router, such as one of `MikroTik`, sends on in UDP packets.

use std::ops::Range;

/// The port that TZSP is sent to.
const PORT: u16 = 37_008;

fn word(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

/// Returns where the Ethernet frame is that a TZSP packet holds; `None` where `frame` is no such
/// packet.
pub(super) fn inner_frame(frame: &[u8]) -> Option<Range<usize>> {
    let udp = udp(frame)?;
    if word(frame, udp.start + 2)? != PORT {
        return None;
    }
    let end = (udp.start + usize::from(word(frame, udp.start + 4)?)).min(udp.end);
    let tzsp = udp.start + 8;
    // Version 1, a received packet, of Ethernet.
    if frame.get(tzsp..tzsp + 4)? != [1, 0, 0, 1] {
        return None;
    }
    let mut tag = tzsp + 4;
    loop {
        match *frame.get(tag)? {
            0 => tag += 1,
            1 => return (tag + 1 < end).then_some(tag + 1..end),
            _ => tag += 2 + usize::from(*frame.get(tag + 1)?),
        }
    }
}

/// Returns where the UDP packet is that a frame holds whole.
fn udp(frame: &[u8]) -> Option<Range<usize>> {
    const UDP: u8 = 17;
    let mut offset = 12;
    while matches!(word(frame, offset)?, 0x8100 | 0x88a8) {
        offset += 4;
    }
    let ip = offset + 2;
    match word(frame, offset)? {
        0x0800 => {
            let fragmented = word(frame, ip + 6)? & 0x3fff != 0;
            let header = usize::from(frame.get(ip)? & 0x0f) * 4;
            (frame.get(ip + 9)? == &UDP && !fragmented).then_some(ip + header..frame.len())
        }
        0x86dd => (frame.get(ip + 6)? == &UDP).then_some(ip + 40..frame.len()),
        _ => None,
    }
}
