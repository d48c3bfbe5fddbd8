//! The block format: sections, each of its own byte order, with interfaces, each of its own link
//! type and clock.

use std::ops::Range;

use jiff::Timestamp;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    Block, EPB_MAGIC, IDB_MAGIC, InterfaceDescriptionBlock, Linktype, OptionCode, SHB_MAGIC,
    SPB_MAGIC, parse_block_be, parse_block_le,
};

use super::fault::CaptureFault;
use super::window::Window;
use super::{Found, MAX_BLOCK};

/// Type, length and length again: what every block has.
const SMALLEST: usize = 12;

/// Blocks of other kinds are passed over, not held; nobody writes one beyond this.
const MAX_SKIPPED: usize = 64 * 1024 * 1024;

/// A damaged section may describe interfaces without end.
const MAX_INTERFACES: usize = 4096;

const BYTE_ORDER: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// A packet's time, and where in its block its bytes are.
type Captured = (Option<Timestamp>, Range<usize>);

#[derive(Default)]
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Whether a packet was given.
    given: bool,
    /// The link type of packets that were passed over, since they are not Ethernet's.
    skipped: Option<Linktype>,
}

impl PcapNg {
    /// Whether the stream begins as this format does.
    pub(super) fn begins(magic: [u8; 4]) -> bool {
        u32::from_le_bytes(magic) == SHB_MAGIC
    }

    /// The next packet; it stays in the window until it is consumed.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Option<Found>, CaptureFault> {
        loop {
            if !window.ensure(SMALLEST)? {
                return if window.bytes().is_empty() { self.end() } else { Err(CaptureFault::Cut) };
            }
            let (kind, size) = self.header(window.bytes())?;
            if !matches!(kind, SHB_MAGIC | IDB_MAGIC | EPB_MAGIC | SPB_MAGIC) {
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
            let packet = self.read(block)?;
            match packet {
                Some((time, bytes)) => {
                    self.given = true;
                    return Ok(Some(Found { time, bytes, size }));
                }
                None => window.consume(size),
            }
        }
    }

    /// A capture of several interfaces may hold other packets beside Ethernet's, but not alone.
    fn end(&self) -> Result<Option<Found>, CaptureFault> {
        match self.skipped {
            Some(link) if !self.given => Err(CaptureFault::Link(link)),
            _ => Ok(None),
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
    fn read(&mut self, block: &[u8]) -> Result<Option<Captured>, CaptureFault> {
        let parse = if self.big_endian { parse_block_be } else { parse_block_le };
        let damaged = || CaptureFault::Damaged("a block that contradicts itself".to_owned());
        let (_, parsed) = parse(block).map_err(|_| damaged())?;
        match parsed {
            Block::InterfaceDescription(description) => {
                if self.interfaces.len() == MAX_INTERFACES {
                    return Err(CaptureFault::Damaged(format!(
                        "more than {MAX_INTERFACES} interfaces"
                    )));
                }
                self.interfaces.push(Interface::new(&description, self.big_endian));
                Ok(None)
            }
            Block::EnhancedPacket(packet) => {
                const DATA: usize = 28;
                let Some(interface) = self.interface(packet.if_id)? else { return Ok(None) };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                Ok(Some((interface.time(ticks), DATA..DATA + packet.packet_data().len())))
            }
            Block::SimplePacket(packet) => {
                const DATA: usize = 12;
                let Some(interface) = self.interface(0)? else { return Ok(None) };
                let captured = match interface.snap_length {
                    0 => packet.packet_data().len(),
                    most => packet.packet_data().len().min(most),
                };
                Ok(Some((None, DATA..DATA + captured)))
            }
            _ => Ok(None),
        }
    }

    /// The interface of a packet; `None` for one that is not Ethernet.
    fn interface(&mut self, index: u32) -> Result<Option<&Interface>, CaptureFault> {
        let interface = usize::try_from(index).ok().and_then(|index| self.interfaces.get(index));
        let interface = interface.ok_or_else(|| {
            CaptureFault::Damaged(format!("a packet of interface {index}, which is not described"))
        })?;
        if interface.link != Linktype::ETHERNET {
            self.skipped = Some(interface.link);
            return Ok(None);
        }
        Ok(Some(interface))
    }
}

fn impossible(size: usize) -> CaptureFault {
    CaptureFault::Damaged(format!("a block of {size} bytes"))
}

struct Interface {
    link: Linktype,
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
            link: description.linktype,
            snap_length: usize::try_from(description.snaplen).unwrap_or(0),
            ticks: ticks_per_second(description.if_tsresol),
            offset: offset(description, big_endian),
        }
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

/// `if_tsoffset` in the section's byte order. (The parser reads it as little-endian always.)
fn offset(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> i64 {
    let option = description.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
    let Some(bytes) = option.and_then(|option| option.value().first_chunk::<8>().copied()) else {
        return 0;
    };
    if big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) }
}
