//! The classic capture format: one header, then packets. Microseconds or nanoseconds, either byte
//! order, and the variant with longer packet headers.

use jiff::Timestamp;
use pcap_parser::nom::{Err as Nom, IResult, Needed};
use pcap_parser::{LegacyPcapBlock, Linktype, PcapError, PcapHeader};

use super::fault::CaptureFault;
use super::window::Window;
use super::{Found, MAX_BLOCK};

const HEADER: usize = 24;

type Parse = fn(&[u8]) -> IResult<&[u8], LegacyPcapBlock<'_>, PcapError<&[u8]>>;

pub(super) struct Pcap {
    link: Linktype,
    nanoseconds: bool,
    parse: Parse,
}

impl Pcap {
    /// Whether the stream begins as this format does.
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
        Ok(Self {
            link: link_type(&header),
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
                    if self.link != Linktype::ETHERNET {
                        return Err(CaptureFault::Link(self.link));
                    }
                    let size = available - rest.len();
                    return Ok(Some(Found {
                        time: self.time(&packet),
                        bytes: size - packet.data.len()..size,
                        size,
                    }));
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
                return if window.bytes().is_empty() { Ok(None) } else { Err(CaptureFault::Cut) };
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

/// The upper bits of the field tell of checksums at the end of each packet.
fn link_type(header: &PcapHeader) -> Linktype {
    Linktype(header.network.0 & 0x03ff_ffff)
}
