//! The classic capture format: one header, then packets. Microseconds or nanoseconds, either byte
//! order, and the variant with longer packet headers.

use jiff::Timestamp;
use pcap_parser::nom::{Err as Nom, IResult, Needed};
use pcap_parser::{LegacyPcapBlock, Linktype, PcapError, PcapHeader};

use super::fault::CaptureFault;
use super::link::{LinkLayer, without_fcs};
use super::window::Window;
use super::{Found, MAX_BLOCK};

const HEADER: usize = 24;

type Parse = fn(&[u8]) -> IResult<&[u8], LegacyPcapBlock<'_>, PcapError<&[u8]>>;

pub(super) struct Pcap {
    link: LinkLayer,
    /// Bytes of frame check sequence at the end of each packet.
    fcs: usize,
    nanoseconds: bool,
    parse: Parse,
}

impl Pcap {
    /// Returns whether the stream begins as this format does.
    pub(super) fn begins(magic: [u8; 4]) -> bool {
        matches!(
            u32::from_le_bytes(magic),
            0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 | 0xa1b2_cd34
        )
    }

    pub(super) fn open(window: &mut Window) -> Result<Self, CaptureFault> {
        if !window.ensure(HEADER)? {
            return Err(CaptureFault::Cut);
        }
        let (_, header) = pcap_parser::parse_pcap_header(window.bytes())
            .map_err(|_| CaptureFault::Damaged("its header cannot be read".to_owned()))?;
        window.consume(HEADER);
        let (link, fcs) = link_type(&header);
        Ok(Self {
            link,
            fcs,
            nanoseconds: header.is_nanosecond_precision(),
            parse: if header.is_modified_format() {
                pcap_parser::parse_pcap_frame_modified
            } else if header.is_bigendian() {
                pcap_parser::parse_pcap_frame_be
            } else {
                pcap_parser::parse_pcap_frame
            },
        })
    }

    /// The next packet; it stays in the window until it is consumed.
    pub(super) fn next(&self, window: &mut Window) -> Result<Option<Found>, CaptureFault> {
        loop {
            let available = window.bytes().len();
            let missing = match (self.parse)(window.bytes()) {
                Ok((rest, packet)) => {
                    let size = available - rest.len();
                    let captured = size - packet.data.len()..size;
                    let length = usize::try_from(packet.origlen).unwrap_or(0).max(captured.len());
                    let (bytes, length) = without_fcs(captured, length, self.fcs);
                    let time = self.time(&packet);
                    return Ok(Some(Found { time, link: self.link, bytes, length, size }));
                }
                Err(Nom::Incomplete(Needed::Size(missing))) => missing.get(),
                Err(_) => {
                    return Err(CaptureFault::Damaged("a packet that cannot be read".to_owned()));
                }
            };
            let size = available.saturating_add(missing);
            if size > MAX_BLOCK {
                return Err(CaptureFault::Damaged(format!("a packet of {size} bytes")));
            }
            if !window.ensure(size)? {
                let at_end = window.bytes().is_empty();
                return if at_end { Ok(None) } else { Err(CaptureFault::Cut) };
            }
        }
    }

    fn time(&self, packet: &LegacyPcapBlock<'_>) -> Option<Timestamp> {
        let unit = if self.nanoseconds { 1 } else { 1_000 };
        let nanoseconds = i64::from(packet.ts_usec) * unit;
        let second = Timestamp::from_second(i64::from(packet.ts_sec)).ok()?;
        second.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).ok()
    }
}

/// The link type, and the length of the frame check sequences that the upper bits of the field
/// announce, in units of two bytes.
fn link_type(header: &PcapHeader) -> (LinkLayer, usize) {
    const HAS_FCS: u32 = 0x0400_0000;
    let field = header.network.0.cast_unsigned();
    let link = LinkLayer::from(Linktype((field & 0xffff).cast_signed()));
    let fcs = if field & HAS_FCS == 0 { 0 } else { (field >> 28) * 2 };
    (link, fcs as usize)
}
