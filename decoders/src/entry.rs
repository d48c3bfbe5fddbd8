//! Entries: the parts that follow the fixed bytes of a status record (type `0x3510`).
//!
//! The low nibble of an entry's first byte is its size, that byte included; the high nibble is its
//! kind (confidence B+). Which entries a record has differs from record to record, so a field in one
//! is found by walking them, never by the record's length.

use std::fmt;

use crate::frame::{RECORDS, Record};

/// The type of the records that have entries (confidence A).
pub const STATUS_TYPE: u16 = 0x3510;

/// Offset of the entries of a status record (confidence B+).
pub const ENTRIES: u8 = 0x30;

/// The first byte of an entry, or what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryHead {
    /// Exactly this byte.
    Exact(u8),
    /// An entry of this size, of any kind.
    Size(u8),
}

impl EntryHead {
    /// The size of the entry.
    #[must_use]
    pub const fn size(self) -> u8 {
        match self {
            Self::Exact(head) => head & 0x0F,
            Self::Size(size) => size,
        }
    }

    const fn matches(self, head: u8) -> bool {
        match self {
            Self::Exact(wanted) => head == wanted,
            Self::Size(size) => head & 0x0F == size,
        }
    }
}

/// Writes the head as a custom decoder does: `0x08`, and `0x?3` for any kind of size 3.
impl fmt::Display for EntryHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(head) => write!(f, "0x{head:02X}"),
            Self::Size(size) => write!(f, "0x?{size:X}"),
        }
    }
}

/// Entry of a record in which a field stands: the first that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntrySelector {
    /// The entry's first byte.
    pub head: EntryHead,
    /// The channel in the high nibble of its second byte; any when `None`.
    pub channel: Option<u8>,
}

impl EntrySelector {
    fn matches(self, entry: &[u8]) -> bool {
        let channel = entry.get(1).map(|byte| byte >> 4);
        entry.first().is_some_and(|head| self.head.matches(*head))
            && self.channel.is_none_or(|wanted| channel == Some(wanted))
    }
}

/// `entry 0x08 of channel 1`.
impl fmt::Display for EntrySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.head)?;
        self.channel.map_or(Ok(()), |channel| write!(f, " of channel {channel}"))
    }
}

/// The entries of a record, each whole.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    /// The protocol offset of the first.
    start: u8,
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The entries from protocol offset `start` to the record's end. `None` where one has size 0 or
    /// reaches past the end: then none of them can be trusted.
    #[must_use]
    pub fn of(record: &Record<'a>, start: u8) -> Option<Self> {
        let bytes = record.bytes().get(usize::from(start).checked_sub(RECORDS)?..)?;
        let mut rest = bytes;
        while let Some(head) = rest.first() {
            // Every step takes a byte at least, so the walk ends with the record.
            let size = usize::from(head & 0x0F);
            rest = rest.get(size..).filter(|_| size > 0)?;
        }
        Some(Self { start, bytes })
    }

    /// Each entry with its protocol offset.
    pub fn iter(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let (mut at, mut rest) = (self.start, self.bytes);
        std::iter::from_fn(move || {
            let size = *rest.first()? & 0x0F;
            let (entry, after) = rest.split_at_checked(usize::from(size))?;
            let found = (at, entry);
            (at, rest) = (at.wrapping_add(size), after);
            Some(found)
        })
    }

    /// The protocol offset of the first entry that `selector` matches.
    #[must_use]
    pub fn find(self, selector: EntrySelector) -> Option<u8> {
        self.iter().find(|(_, entry)| selector.matches(entry)).map(|(at, _)| at)
    }
}
