//! The block format: sections, each of its own byte order, with interfaces, each of its own link
//! type and clock.

use std::ops::Range;

use jiff::Timestamp;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    Block, EPB_MAGIC, EnhancedPacketBlock, IDB_MAGIC, InterfaceDescriptionBlock, OptionCode,
    SHB_MAGIC, SPB_MAGIC, parse_block_be, parse_block_le,
};

use super::fault::CaptureFault;
use super::link::{LinkLayer, without_fcs};
use super::window::Window;
use super::{Found, MAX_BLOCK};

/// Type, length and length again: what every block has.
const SMALLEST: usize = 12;

/// Blocks of other kinds are passed over, not held; nobody writes one beyond this.
const MAX_SKIPPED: usize = 64 * 1024 * 1024;

/// A damaged section may describe interfaces without end.
const MAX_INTERFACES: usize = 4096;

const BYTE_ORDER: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// The code of `epb_flags`, among others about the frame check sequence.
const EPB_FLAGS: u16 = 2;
/// The code of `if_fcslen`.
const IF_FCSLEN: u16 = 13;

/// The obsolete Packet Block, which programs wrote before the Enhanced one.
const PACKET_BLOCK: u32 = 2;

/// Offset of a packet's bytes in an Enhanced or an obsolete Packet Block.
const DATA: usize = 28;

#[derive(Default)]
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

impl PcapNg {
    /// Returns whether the stream begins as this format does.
    pub(super) fn begins(magic: [u8; 4]) -> bool {
        u32::from_le_bytes(magic) == SHB_MAGIC
    }

    /// The next packet; it stays in the window until it is consumed.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Option<Found>, CaptureFault> {
        loop {
            if !window.ensure(SMALLEST)? {
                let at_end = window.bytes().is_empty();
                return if at_end { Ok(None) } else { Err(CaptureFault::Cut) };
            }
            let (kind, size) = self.header(window.bytes())?;
            if !matches!(kind, SHB_MAGIC | IDB_MAGIC | PACKET_BLOCK | EPB_MAGIC | SPB_MAGIC) {
                if size > MAX_SKIPPED {
                    return Err(impossible(size));
                }
                if !window.skip(size)? {
                    return Err(CaptureFault::Cut);
                }
                continue;
            }
            if size > MAX_BLOCK {
                return Err(impossible(size));
            }
            if !window.ensure(size)? {
                return Err(CaptureFault::Cut);
            }
            let block = window.bytes().get(..size).unwrap_or_default();
            let packet = if kind == PACKET_BLOCK {
                self.obsolete_packet(block).map(Some)
            } else {
                self.read(block)
            };
            match packet? {
                Some(found) => return Ok(Some(found)),
                None => window.consume(size),
            }
        }
    }

    /// The type and the size of the block that begins `bytes`. A section header sets the byte
    /// order that its own length is in.
    fn header(&mut self, bytes: &[u8]) -> Result<(u32, usize), CaptureFault> {
        let word = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk::<4>().copied());
        let (Some(kind), Some(size), Some(body)) = (word(0), word(4), word(8)) else {
            return Err(CaptureFault::Cut);
        };
        // The section header's type reads the same in both byte orders.
        if u32::from_le_bytes(kind) == SHB_MAGIC {
            self.big_endian = body == BYTE_ORDER;
            self.interfaces.clear();
        }
        let number = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let (kind, size) = (number(kind), number(size));
        let whole = usize::try_from(size).unwrap_or(usize::MAX);
        if whole < SMALLEST || !whole.is_multiple_of(4) {
            return Err(impossible(whole));
        }
        Ok((kind, whole))
    }

    /// Reads a whole block; `None` where it is not a packet.
    fn read(&mut self, block: &[u8]) -> Result<Option<Found>, CaptureFault> {
        let parse = if self.big_endian { parse_block_be } else { parse_block_le };
        let damaged = || CaptureFault::Damaged("a block that contradicts itself".to_owned());
        let (_, parsed) = parse(block).map_err(|_| damaged())?;
        let packet = match parsed {
            Block::InterfaceDescription(description) => {
                if self.interfaces.len() == MAX_INTERFACES {
                    return Err(CaptureFault::Damaged(format!(
                        "more than {MAX_INTERFACES} interfaces"
                    )));
                }
                self.interfaces.push(Interface::new(&description, self.big_endian));
                return Ok(None);
            }
            Block::EnhancedPacket(packet) => {
                let interface = self.interface(packet.if_id)?;
                interface.found(&Packet {
                    ticks: Some(ticks(packet.ts_high, packet.ts_low)),
                    bytes: DATA..DATA + packet.packet_data().len(),
                    length: packet.origlen,
                    fcs: self.fcs_length(&packet),
                    size: block.len(),
                })
            }
            Block::SimplePacket(packet) => {
                const DATA: usize = 12;
                let interface = self.interface(0)?;
                let captured = match interface.snap_length {
                    0 => packet.packet_data().len(),
                    most => packet.packet_data().len().min(most),
                };
                interface.found(&Packet {
                    ticks: None,
                    bytes: DATA..DATA + captured,
                    length: packet.origlen,
                    fcs: None,
                    size: block.len(),
                })
            }
            _ => return Ok(None),
        };
        Ok(Some(packet))
    }

    /// Reads an obsolete Packet Block, which the parser does not know.
    fn obsolete_packet(&self, block: &[u8]) -> Result<Found, CaptureFault> {
        let damaged = || CaptureFault::Damaged("a packet block that is too short".to_owned());
        let field = |at: usize| block.get(at..).and_then(|rest| rest.first_chunk::<4>().copied());
        let number = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let word = |at: usize| field(at).map(number).ok_or_else(damaged);
        // Half a word of interface, half a word of drops.
        let [first, second, ..] = field(8).ok_or_else(damaged)?;
        let interface = if self.big_endian { [first, second] } else { [second, first] };
        let interface = self.interface(u16::from_be_bytes(interface).into())?;
        let end = usize::try_from(word(20)?).ok().and_then(|captured| DATA.checked_add(captured));
        let end = end.filter(|end| end + 4 <= block.len()).ok_or_else(damaged)?;
        Ok(interface.found(&Packet {
            ticks: Some(ticks(word(12)?, word(16)?)),
            bytes: DATA..end,
            length: word(24)?,
            fcs: None,
            size: block.len(),
        }))
    }

    /// The frame check sequence that a packet's own flags announce, in bytes.
    fn fcs_length(&self, packet: &EnhancedPacketBlock<'_>) -> Option<usize> {
        let flags = packet.options.iter().find(|option| option.code == OptionCode(EPB_FLAGS))?;
        let flags = *flags.value().first_chunk()?;
        let number = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let length = number(flags) >> 5 & 0x0f;
        usize::try_from(length).ok().filter(|length| *length > 0)
    }

    fn interface(&self, index: u32) -> Result<&Interface, CaptureFault> {
        let interface = usize::try_from(index).ok().and_then(|index| self.interfaces.get(index));
        interface.ok_or_else(|| {
            CaptureFault::Damaged(format!("a packet of interface {index}, which is not described"))
        })
    }
}

/// A packet as its block describes it.
struct Packet {
    ticks: Option<u64>,
    /// Place of its bytes in the block.
    bytes: Range<usize>,
    /// The length on the wire.
    length: u32,
    fcs: Option<usize>,
    /// The size of the block.
    size: usize,
}

fn ticks(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn impossible(size: usize) -> CaptureFault {
    CaptureFault::Damaged(format!("a block of {size} bytes"))
}

struct Interface {
    link: LinkLayer,
    /// Bytes of frame check sequence at the end of each packet.
    fcs: usize,
    /// Bytes kept of each packet; 0 for all.
    snap_length: usize,
    /// The clock's ticks a second; `None` where they cannot be counted.
    ticks: Option<u128>,
    /// Seconds to add to every time.
    offset: i64,
}

impl Interface {
    fn new(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        Self {
            link: description.linktype.into(),
            fcs: fcs_length(description),
            snap_length: usize::try_from(description.snaplen).unwrap_or(0),
            ticks: ticks_per_second(description.if_tsresol),
            offset: offset(description, big_endian),
        }
    }

    fn found(&self, packet: &Packet) -> Found {
        let length = usize::try_from(packet.length).unwrap_or(0).max(packet.bytes.len());
        let fcs = packet.fcs.unwrap_or(self.fcs);
        let (bytes, length) = without_fcs(packet.bytes.clone(), length, fcs);
        let time = packet.ticks.and_then(|ticks| self.time(ticks));
        Found { time, link: self.link, bytes, length, size: packet.size }
    }

    fn time(&self, ticks: u64) -> Option<Timestamp> {
        let (ticks, per_second) = (u128::from(ticks), self.ticks?);
        let second = i64::try_from(ticks / per_second).ok()?.checked_add(self.offset)?;
        let nanosecond = (ticks % per_second).checked_mul(1_000_000_000)? / per_second;
        Timestamp::new(second, i32::try_from(nanosecond).ok()?).ok()
    }
}

/// `if_tsresol`: a power of two where the top bit is set, else of ten. (The parser's own reading of
/// it knows no power of two.)
fn ticks_per_second(resolution: u8) -> Option<u128> {
    if resolution & 0x80 == 0 {
        10_u128.checked_pow(u32::from(resolution))
    } else {
        1_u128.checked_shl(u32::from(resolution & 0x7f))
    }
}

/// `if_fcslen`, in bytes.
fn fcs_length(description: &InterfaceDescriptionBlock<'_>) -> usize {
    let option = description.options.iter().find(|option| option.code == OptionCode(IF_FCSLEN));
    option.and_then(|option| option.value().first().copied()).map_or(0, usize::from)
}

/// `if_tsoffset` in the section's byte order. (The parser reads it as little-endian always.)
fn offset(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> i64 {
    let option = description.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
    let Some(bytes) = option.and_then(|option| option.value().first_chunk::<8>().copied()) else {
        return 0;
    };
    if big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) }
}
