//! The table of one kind of record: which records it reads, and their fields.

use std::borrow::Cow;

use crate::field::Field;
use crate::frame::{RECORD_HEADER, RECORDS};

/// Whether a decoder is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// On always.
    Confirmed,
    /// Off unless switched on; its keys carry the prefix of its length byte.
    Experimental,
    /// Declared in the configuration, and as experimental as those.
    Declared,
}

impl Trust {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Experimental => "experimental",
            Self::Declared => "declared",
        }
    }
}

/// The declarative table of one kind of record.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The length byte that selects it.
    pub length: u8,
    /// Its name for people.
    pub name: Cow<'static, str>,
    /// Whether it is trusted.
    pub status: Trust,
    /// The only record type it reads; `None` reads any.
    pub record_type: Option<u16>,
    /// The protocol offset of the device's serial number, a u32.
    pub serial: u8,
    /// Its fields, in the order in which every output gives them.
    pub fields: Cow<'static, [Field]>,
}

/// Where the serial number stands in most records (confidence A).
pub const SERIAL: u8 = 0x1E;

impl Layout {
    /// A confirmed layout; a field that does not fit its length does not compile.
    #[must_use]
    pub const fn confirmed(length: u8, name: &'static str, fields: &'static [Field]) -> Self {
        Self::declared(length, name, Trust::Confirmed, fields)
    }

    /// An experimental layout; a field that does not fit its length does not compile.
    #[must_use]
    pub const fn experimental(length: u8, name: &'static str, fields: &'static [Field]) -> Self {
        Self::declared(length, name, Trust::Experimental, fields)
    }

    /// The same layout with the serial number elsewhere than at [`SERIAL`].
    ///
    /// # Panics
    /// At compile time, where the serial number would lie past the record's end.
    #[must_use]
    pub const fn serial_at(mut self, offset: u8) -> Self {
        assert!(offset as usize + 4 <= RECORDS + self.length as usize, "serial past the end");
        self.serial = offset;
        self
    }

    const fn declared(
        length: u8,
        name: &'static str,
        status: Trust,
        fields: &'static [Field],
    ) -> Self {
        assert!(length as usize >= RECORD_HEADER, "shorter than a record's header");
        let mut i = 0;
        while i < fields.len() {
            assert!(fields[i].fits(length), "a field past the record's end");
            i += 1;
        }
        Self {
            length,
            name: Cow::Borrowed(name),
            status,
            record_type: None,
            serial: SERIAL,
            fields: Cow::Borrowed(fields),
        }
    }
}
