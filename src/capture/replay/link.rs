//! Link types: what the packets of a capture begin with. Everything that is read becomes an
//! Ethernet frame; what is not read is counted by link type.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use energi_decoders::frame::MULTICAST;
use pcap_parser::Linktype;

/// Two addresses, before the ethertype.
const ADDRESSES: usize = 12;

/// Conversion of a link type to Ethernet frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkLayer {
    /// Nothing.
    Ethernet,
    /// The header of `tcpdump -i any` makes way for an Ethernet header.
    Cooked(CookedHeader),
    /// The link type is not read.
    Other(Linktype),
}

/// Offsets of an Ethernet header's parts in Linux's "cooked" header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CookedHeader {
    ethertype: usize,
    packet_type: usize,
    sender: usize,
    size: usize,
}

/// `LINKTYPE_LINUX_SLL`; its packet type is a big-endian number below 256.
const SLL: CookedHeader = CookedHeader { ethertype: 14, packet_type: 1, sender: 6, size: 16 };
/// `LINKTYPE_LINUX_SLL2`.
const SLL2: CookedHeader = CookedHeader { ethertype: 0, packet_type: 10, sender: 12, size: 20 };

impl From<Linktype> for LinkLayer {
    fn from(link: Linktype) -> Self {
        match link {
            Linktype::ETHERNET => Self::Ethernet,
            Linktype::LINUX_SLL => Self::Cooked(SLL),
            Linktype::LINUX_SLL2 => Self::Cooked(SLL2),
            other => Self::Other(other),
        }
    }
}

impl CookedHeader {
    /// Writes the packet as an Ethernet frame into `frame`. The destination, which the cooked
    /// header lacks, becomes the devices' group for a multicast packet. A packet that is shorter
    /// than the header gives an empty frame.
    pub(super) fn ethernet(self, packet: &[u8], frame: &mut Vec<u8>) {
        /// `PACKET_MULTICAST` of packet(7).
        const TO_GROUP: u8 = 2;
        frame.clear();
        let Some(payload) = packet.get(self.size..) else { return };
        let to_group = packet.get(self.packet_type) == Some(&TO_GROUP);
        frame.extend(if to_group { MULTICAST.0 } else { [0; 6] });
        for part in [self.sender..self.sender + 6, self.ethertype..self.ethertype + 2] {
            frame.extend_from_slice(packet.get(part).unwrap_or_default());
        }
        frame.extend_from_slice(payload);
    }

    /// Returns how much longer a packet is than its Ethernet frame.
    pub(super) const fn surplus(self) -> usize {
        self.size - (ADDRESSES + 2)
    }
}

/// Removes an announced frame check sequence of `fcs` bytes from the end of a packet of `length`
/// bytes, of which `captured` were kept.
pub(super) fn without_fcs(
    captured: Range<usize>,
    length: usize,
    fcs: usize,
) -> (Range<usize>, usize) {
    let length = length.saturating_sub(fcs);
    (captured.start..captured.end.min(captured.start + length), length)
}

/// Packets that were not read, by their link type.
#[derive(Debug, Default)]
pub(super) struct UnreadLinks(BTreeMap<i32, u64>);

impl UnreadLinks {
    pub(super) fn add(&mut self, link: Linktype) {
        *self.0.entry(link.0).or_default() += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Counts by name, then what to capture instead.
impl fmt::Display for UnreadLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets were not read: ", self.0.values().sum::<u64>())?;
        for (index, (link, count)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{count} of link type {link} ({})", name(*link))?;
        }
        let mut remedies: Vec<_> = self.0.keys().map(|link| remedy(*link)).collect();
        remedies.dedup();
        remedies.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// Names of link types that people meet (<https://www.tcpdump.org/linktypes.html>).
fn name(link: i32) -> &'static str {
    match link {
        0 | 108 => "loopback",
        9 | 50 | 51 => "PPP",
        12 | 101 | 228 | 229 => "raw IP",
        105 | 119 | 127 | 163 => "Wi-Fi, 802.11",
        147..=162 => "private use",
        187 | 201 | 251 | 256 => "Bluetooth",
        189 | 220 | 249 => "USB",
        195 | 215 | 230 | 283 => "802.15.4",
        239 => "netfilter log",
        281 | 282 => "CPU port of a switch, Broadcom tag",
        284 | 285 => "CPU port of a switch, Marvell DSA tag",
        _ => "unknown here",
    }
}

fn remedy(link: i32) -> &'static str {
    match link {
        281 | 282 | 284 | 285 => {
            "capture on a port of the switch, such as lan1, or on its bridge, such as br-lan, not \
             on the port to the processor, such as eth0"
        }
        105 | 119 | 127 | 163 => {
            "capture on the wireless interface without monitor mode, or better on a wired one"
        }
        _ => {
            "capture on the Ethernet interface itself, as with `-i eth0`, not on a tunnel or the \
             loopback"
        }
    }
}
