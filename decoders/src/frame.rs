//! Views over the bytes of a frame: Ethernet header, protocol header, records.
//!
//! Each view is checked once, when it is made; its getters then cannot fail. The network byte at
//! `0x19` is never looked at: it differs between sites (confidence A).

use std::fmt;

use thiserror::Error;

/// IEEE 802 Local Experimental Ethertype 1, which the devices use (confidence A).
pub const ETHERTYPE: u16 = 0x88b5;

/// The multicast group that the devices send to (confidence A).
pub const MULTICAST: MacAddress = MacAddress([0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0x00]);

/// The first bytes of every payload. Other programs may use the ethertype too (confidence A).
pub const MAGIC: [u8; 4] = [0xcb, 0xda, 0xe9, 0xf8];

/// Offset of the first record in a payload (confidence A).
pub const RECORDS: usize = 0x18;

/// Length, network, type (2), device and flags: what precedes the body of each record (P).
pub const RECORD_HEADER: usize = 6;

const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
const VLAN_ETHERTYPES: [u16; 2] = [0x8100, 0x88a8];

/// An Ethernet hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one piece: each line of JSON has one.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b':'; 17];
        for (place, octet) in text.chunks_mut(3).zip(self.0) {
            place[0] = DIGITS[usize::from(octet >> 4)];
            place[1] = DIGITS[usize::from(octet & 0xF)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hardware address that is not six pairs of hex digits with `:` or `-` between them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a MAC address: write six pairs of hex digits, as in 70:b3:d5:0c:65:a5")]
pub struct ParseMacError(String);

impl std::str::FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseMacError(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            // A number may have a sign, two digits may not.
            let is_pair = |part: &&str| part.len() == 2 && !part.starts_with('+');
            let part = parts.next().filter(is_pair).ok_or_else(wrong)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(octets))
    }
}

/// Reason why bytes are not a frame of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The bytes end before the header does.
    #[error("truncated: {0} bytes do not hold a header and a record")]
    Truncated(usize),
    /// Ethertype of another protocol.
    #[error("ethertype {0:#06x}, not 0x88b5")]
    Ethertype(u16),
    /// The payload does not begin with [`MAGIC`]: another program on the same ethertype.
    #[error("the payload does not begin with CB DA E9 F8")]
    Magic,
    /// The first record's length byte is below its own header's size or reaches past the end.
    #[error("the first record's length byte is {length:#04x}, with {available} bytes there")]
    Length {
        /// The length byte at `0x18`.
        length: u8,
        /// Bytes from `0x18` to the end.
        available: usize,
    },
}

/// The sender and the payload of an Ethernet frame of [`ETHERTYPE`], VLAN tags skipped. The payload
/// may hold anything.
///
/// # Errors
/// [`FrameError::Truncated`] where the Ethernet header is not whole, [`FrameError::Ethertype`] where
/// it announces something else.
#[inline]
pub fn split_ethernet(bytes: &[u8]) -> Result<(MacAddress, &[u8]), FrameError> {
    let truncated = FrameError::Truncated(bytes.len());
    let source = bytes
        .get(6..12)
        .and_then(|source| source.try_into().ok())
        .map(MacAddress)
        .ok_or(truncated)?;
    let mut header = ETHERNET_HEADER;
    let ethertype = loop {
        let field = bytes.get(header - 2..header).ok_or(truncated)?;
        let ethertype = u16::from_be_bytes([field[0], field[1]]);
        if !VLAN_ETHERTYPES.contains(&ethertype) {
            break ethertype;
        }
        header += VLAN_TAG;
    };
    if ethertype != ETHERTYPE {
        return Err(FrameError::Ethertype(ethertype));
    }
    Ok((source, bytes.get(header..).ok_or(truncated)?))
}

/// A frame whose envelope has been checked: at least one whole record follows.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    source: Option<MacAddress>,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks an Ethernet frame, skipping VLAN tags (`0x8100`, `0x88a8`) before the ethertype.
    ///
    /// # Errors
    /// [`FrameError`] says what about the bytes is not of this protocol.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (source, payload) = split_ethernet(bytes)?;
        Ok(Self { source: Some(source), ..Self::parse_payload(payload)? })
    }

    /// Checks a payload that was saved without its Ethernet header.
    ///
    /// # Errors
    /// [`FrameError`] says what about the bytes is not of this protocol.
    pub fn parse_payload(payload: &'a [u8]) -> Result<Self, FrameError> {
        if payload.len() >= MAGIC.len() && !payload.starts_with(&MAGIC) {
            return Err(FrameError::Magic);
        }
        let records = payload.get(RECORDS..).unwrap_or_default();
        let Some(&length) = records.first() else {
            return Err(FrameError::Truncated(payload.len()));
        };
        if Record::split(records).is_none() {
            return Err(FrameError::Length { length, available: records.len() });
        }
        Ok(Self { source: None, payload })
    }

    /// The sender's address; `None` for a bare payload.
    #[must_use]
    pub const fn source(&self) -> Option<MacAddress> {
        self.source
    }

    /// The bytes after the Ethernet header, padding included.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The records in order. A length under six or past the end ends the frame; the records
    /// before it stand.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records { rest: &self.payload[RECORDS..] }
    }
}

/// Iterator over the records of a frame.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Returns what follows the last record: empty, padding (its first byte zero), or damage.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (record, rest) = Record::split(self.rest)?;
        self.rest = rest;
        Some(record)
    }
}

/// One record: `length(1) network(1) type(2) device(1) flags(1) body(length - 6)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Exactly as many bytes as its length byte says, six or more.
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes one record off the front of `bytes`; `None` where its length byte is below six or
    /// reaches past the end.
    #[must_use]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::from(*bytes.first()?);
        if length < RECORD_HEADER {
            return None;
        }
        let (bytes, rest) = bytes.split_at_checked(length)?;
        Some((Self { bytes }, rest))
    }

    /// The packet-length byte, which selects the decoders; the record's size in bytes.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.bytes[0]
    }

    /// The record type at `0x1A` (P: seen on other sites, its meaning mostly unknown).
    #[must_use]
    pub const fn record_type(&self) -> u16 {
        u16::from_le_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The device number at `0x1C` (P).
    #[must_use]
    pub const fn device(&self) -> u8 {
        self.bytes[4]
    }

    /// The product class in bits 3 to 5 of the device number (P, confidence B); see
    /// [`ZAPPI_CLASS`](crate::product::ZAPPI_CLASS).
    #[must_use]
    pub const fn class(&self) -> u8 {
        self.device() >> 3 & 7
    }

    /// Type and product class, for a quick look.
    #[inline]
    pub(crate) fn kind(&self) -> (u16, u8) {
        match self.bytes.first_chunk() {
            Some([_, _, low, high, device]) => {
                (u16::from_le_bytes([*low, *high]), *device >> 3 & 7)
            }
            None => (0, 0),
        }
    }

    /// The flags at `0x1D` (P, confidence C).
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.bytes[5]
    }

    /// The whole record, its length byte first.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// `size` bytes at a protocol offset, as [`Record::at`] counts; `None` where they are not all
    /// inside the record.
    #[must_use]
    pub fn slice(&self, offset: u8, size: u8) -> Option<&'a [u8]> {
        let start = usize::from(offset).checked_sub(RECORDS)?;
        self.bytes.get(start..start + usize::from(size))
    }

    /// `N` bytes at a protocol offset (the record's first byte stands at `0x18`); `None` where
    /// they are not all inside the record.
    #[must_use]
    pub fn at<const N: usize>(&self, offset: u8) -> Option<[u8; N]> {
        let start = usize::from(offset).checked_sub(RECORDS)?;
        self.bytes.get(start..)?.first_chunk().copied()
    }
}
