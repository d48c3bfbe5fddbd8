//! Faults of a capture, before their place is known.

use std::io::{self, ErrorKind};

use crate::capture::CaptureError;

#[derive(Debug)]
pub(super) enum CaptureFault {
    /// Nothing at all.
    Empty,
    /// None of the formats.
    Unknown,
    /// The input ends inside a block.
    Cut,
    /// A block that cannot be.
    Damaged(String),
    /// The operating system's error.
    Read(io::Error),
}

impl From<io::Error> for CaptureFault {
    fn from(error: io::Error) -> Self {
        // The decompressor says what is wrong with its input by kinds that an operating system's
        // error could have too; only the latter carries a number.
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Cut,
            ErrorKind::InvalidInput | ErrorKind::InvalidData if error.raw_os_error().is_none() => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Read(error),
        }
    }
}

/// Place of a fault.
pub(super) struct FaultPlace<'a> {
    pub(super) name: &'a str,
    pub(super) packets: u64,
    /// Offset in the capture, decompressed.
    pub(super) byte: u64,
}

impl CaptureFault {
    pub(super) fn at(self, place: &FaultPlace<'_>) -> CaptureError {
        let FaultPlace { name, packets, byte } = place;
        match self {
            Self::Empty => CaptureError::Data(format!("{name}: empty: there is no capture in it")),
            Self::Unknown => CaptureError::Data(format!(
                "{name}: not a capture: neither pcap nor pcapng (gzipped or not), nor hex text, nor the \
                 payload of a frame, which begins with CB DA E9 F8"
            )),
            Self::Cut => CaptureError::Data(format!(
                "{name}: cut off after packet {packets}, in the block at byte {byte}: the packets \
                 before it were read, what followed is lost"
            )),
            Self::Damaged(what) => CaptureError::Data(format!(
                "{name}: damaged after packet {packets}, at byte {byte}: {what}; the packets \
                 before it were read"
            )),
            Self::Read(error) => CaptureError::Io(format!(
                "{name}: reading failed after packet {packets}, at byte {byte}: {error}"
            )),
        }
    }
}
