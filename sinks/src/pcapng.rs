//! Writing captures: pcapng with one Ethernet interface and times to the microsecond.

use std::io::{self, Write};

use jiff::Timestamp;
use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, InterfaceStatisticsBlock, Linktype, OptionCode,
    PcapNGOption, SectionHeaderBlock, ToVec,
};

/// 10^-6 s.
const MICROSECONDS: u8 = 6;

/// Bytes that [`PcapngWriter::statistics`] writes.
pub const STATISTICS_SIZE: u64 = 76;

/// Origin of the packets of a capture, as far as its readers are to be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct CaptureOrigin<'a> {
    /// The name of the interface.
    pub interface: Option<&'a str>,
    /// The operating system of the machine.
    pub system: Option<&'a str>,
}

/// Counters of an interface over the time of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceStatistics {
    /// Start of the capture.
    pub begun: Timestamp,
    /// End of the capture.
    pub ended: Timestamp,
    /// Packets that passed the filter, the dropped ones among them.
    pub received: u64,
    /// Packets that are missing because something was too slow for them.
    pub dropped: u64,
}

/// Writes packets to a capture as they come.
///
/// Each is handed over whole, in one write: put a buffered or compressing writer below, and flush
/// that when a reader is to see what was written.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    output: W,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a capture. `interface` is the name that readers show, if any.
    ///
    /// # Errors
    /// What the output says.
    pub fn new(output: W, interface: Option<&str>) -> io::Result<Self> {
        Self::with_origin(output, CaptureOrigin { interface, system: None })
    }

    /// Begins a capture that says where it comes from.
    ///
    /// # Errors
    /// What the output says.
    pub fn with_origin(mut output: W, origin: CaptureOrigin<'_>) -> io::Result<Self> {
        let system = origin.system.map(|system| text(OptionCode::ShbOs, system)).transpose()?;
        let application = concat!("energi-gateway ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 0,
            minor_version: 0,
            section_len: -1,
            options: system
                .into_iter()
                .chain([text(OptionCode::ShbUserAppl, application)?])
                .collect(),
            block_len2: 0,
        };
        output.write_all(&serialised(section)?)?;
        let name = origin.interface.map(|name| text(OptionCode::IfName, name)).transpose()?;
        let description = InterfaceDescriptionBlock {
            block_type: 0,
            block_len1: 0,
            linktype: Linktype::ETHERNET,
            reserved: 0,
            snaplen: 0,
            options: name.into_iter().collect(),
            block_len2: 0,
            if_tsresol: MICROSECONDS,
            if_tsoffset: 0,
        };
        output.write_all(&serialised(description)?)?;
        Ok(Self { output })
    }

    /// Writes one packet, which begins with its Ethernet header. A time before 1970 is written as
    /// 1970: the format has no earlier one.
    ///
    /// # Errors
    /// What the output says, or a packet too large for the format.
    pub fn write(&mut self, time: Timestamp, packet: &[u8]) -> io::Result<()> {
        let (ts_high, ts_low) = ticks(time);
        let length = u32::try_from(packet.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a packet beyond 4 GiB"))?;
        let block = EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high,
            ts_low,
            caplen: length,
            origlen: length,
            data: packet,
            options: Vec::new(),
            block_len2: 0,
        };
        self.output.write_all(&serialised(block)?)
    }

    /// Bytes that [`PcapngWriter::write`] takes for a packet of `length` bytes.
    #[must_use]
    pub const fn packet_size(length: usize) -> u64 {
        (32 + length.next_multiple_of(4)) as u64
    }

    /// Writes what the interface counted, for the end of the capture.
    ///
    /// # Errors
    /// What the output says.
    pub fn statistics(&mut self, statistics: &InterfaceStatistics) -> io::Result<()> {
        let moment = |code, time| {
            let (high, low) = ticks(time);
            number(code, [high.to_le_bytes(), low.to_le_bytes()].concat())
        };
        let count = |code, count: u64| number(code, count.to_le_bytes().to_vec());
        let (ts_high, ts_low) = ticks(statistics.ended);
        let block = InterfaceStatisticsBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high,
            ts_low,
            options: vec![
                moment(OptionCode::IsbStartTime, statistics.begun),
                moment(OptionCode::IsbEndTime, statistics.ended),
                count(OptionCode::IsbIfRecv, statistics.received),
                count(OptionCode::IsbIfDrop, statistics.dropped),
            ],
            block_len2: 0,
        };
        self.output.write_all(&serialised(block)?)
    }

    /// The output below.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.output
    }

    /// Ends the capture and gives the output back, which is not flushed.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// A time as the high and the low word of its microseconds.
fn ticks(time: Timestamp) -> (u32, u32) {
    let microseconds = u64::try_from(time.as_microsecond()).unwrap_or(0);
    let word = |word: u64| u32::try_from(word).unwrap_or_default();
    (word(microseconds >> 32), word(microseconds & u64::from(u32::MAX)))
}

/// An option of eight bytes.
fn number(code: OptionCode, value: Vec<u8>) -> PcapNGOption<'static> {
    PcapNGOption { code, len: 8, value: value.into() }
}

fn text(code: OptionCode, value: &str) -> io::Result<PcapNGOption<'_>> {
    let len = u16::try_from(value.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a name beyond 64 KiB"))?;
    Ok(PcapNGOption { code, len, value: value.as_bytes().into() })
}

/// The magic numbers and lengths are filled in on the way.
fn serialised(mut block: impl ToVec) -> io::Result<Vec<u8>> {
    block.to_vec().map_err(io::Error::other)
}
