//! Writing captures: pcapng with one Ethernet interface and times to the microsecond.

use std::io::{self, Write};

use jiff::Timestamp;
use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, Linktype, OptionCode, PcapNGOption,
    SectionHeaderBlock, ToVec,
};

/// 10^-6 s.
const MICROSECONDS: u8 = 6;

/// Writes packets to a capture as they come.
///
/// Each is handed over whole, in one write: put a buffered or compressing writer below, and flush
/// that when a reader is to see what was written.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    /// Begins a capture. `interface` is the name that readers show, if any.
    ///
    /// # Errors
    /// What the output says.
    pub fn new(mut output: W, interface: Option<&str>) -> io::Result<Self> {
        let application = concat!("energi-gateway ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 0,
            minor_version: 0,
            section_len: -1,
            options: vec![text(OptionCode::ShbUserAppl, application)?],
            block_len2: 0,
        };
        output.write_all(&serialised(section)?)?;
        let name = interface.map(|name| text(OptionCode::IfName, name)).transpose()?;
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
        let microseconds = u64::try_from(time.as_microsecond()).unwrap_or(0);
        let length = u32::try_from(packet.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a packet beyond 4 GiB"))?;
        let [high, low] = [microseconds >> 32, microseconds & u64::from(u32::MAX)]
            .map(|word| u32::try_from(word).unwrap_or_default());
        let block = EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high: high,
            ts_low: low,
            caplen: length,
            origlen: length,
            data: packet,
            options: Vec::new(),
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

fn text(code: OptionCode, value: &str) -> io::Result<PcapNGOption<'_>> {
    let len = u16::try_from(value.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a name beyond 64 KiB"))?;
    Ok(PcapNGOption { code, len, value: value.as_bytes().into() })
}

/// The magic numbers and lengths are filled in on the way.
fn serialised(mut block: impl ToVec) -> io::Result<Vec<u8>> {
    block.to_vec().map_err(io::Error::other)
}
