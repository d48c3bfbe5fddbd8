//! The table of one kind of record: which records it reads, and their fields.

use std::borrow::Cow;

use crate::entry::{Entries, STATUS_TYPE};
use crate::error::DecodeError;
use crate::field::Field;
use crate::frame::{RECORD_HEADER, RECORDS, Record};
use crate::product::{Product, ZAPPI_CLASS};
use crate::value::Value;

/// Trust in a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Always on.
    Confirmed,
    /// Switched on by the configuration only; its keys carry a prefix.
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

/// Record types that are known to be another's than the eddi's tables (confidence B): a harvi's
/// record, the minute history, a zappi's record, and a configuration read back.
pub const OTHERS: &[u16] = &[0x3730, 0x5A5A, 0x7979, 0x7C7C];

/// Record types that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordTypes {
    /// Types of a built-in table.
    List(&'static [u16]),
    /// The one of a declared decoder.
    One(u16),
}

impl RecordTypes {
    /// None at all.
    pub const NONE: Self = Self::List(&[]);

    /// The types.
    #[must_use]
    pub const fn as_slice(&self) -> &[u16] {
        match self {
            Self::List(types) => types,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

/// Records of its length that a decoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The only record types that it reads; any when there are none.
    pub requires_types: RecordTypes,
    /// Record types that are another's.
    pub refuses_types: RecordTypes,
    /// The only product class that it reads.
    pub requires_class: Option<u8>,
    /// A product class that is another's.
    pub refuses_class: Option<u8>,
}

impl Rules {
    /// No rule: every record of the length.
    pub const ANY: Self = Self {
        requires_types: RecordTypes::NONE,
        refuses_types: RecordTypes::NONE,
        requires_class: None,
        refuses_class: None,
    };

    /// Returns whether records of a type may be read.
    #[must_use]
    #[inline]
    pub fn admits_type(&self, record_type: u16) -> bool {
        self.wants_type(record_type) && !self.refuses_types.as_slice().contains(&record_type)
    }

    /// Returns whether records of a class may be read; `listed` is what the configuration says that
    /// the device is, which overrides the class.
    #[must_use]
    #[inline]
    pub fn admits_class(&self, class: u8, listed: Option<Product>) -> bool {
        self.wants_class(class, listed) && !self.refuses_class(class, listed)
    }

    /// Returns whether records of a type and class are asked for; of any class where none is given.
    /// They may be refused still.
    pub(crate) fn wants(&self, record_type: u16, class: Option<u8>) -> bool {
        let wants_class = |class| self.wants_class(class, None);
        self.wants_type(record_type) && class.is_none_or(wants_class)
    }

    fn wants_type(&self, record_type: u16) -> bool {
        let required = self.requires_types.as_slice();
        required.is_empty() || required.contains(&record_type)
    }

    fn wants_class(&self, class: u8, listed: Option<Product>) -> bool {
        self.requires_class.is_none_or(|wanted| match listed {
            None => class == wanted,
            Some(product) => wanted == ZAPPI_CLASS && product == Product::Zappi,
        })
    }

    fn refuses_class(&self, class: u8, listed: Option<Product>) -> bool {
        self.refuses_class.is_some_and(|other| match listed {
            None => class == other,
            Some(product) => product != Product::Eddi,
        })
    }
}

/// The declarative table of one kind of record.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The length byte of the records that it reads; `None` for any that holds its fields.
    pub length: Option<u8>,
    /// The name for people.
    pub name: Cow<'static, str>,
    /// Trust in the decoder.
    pub status: Trust,
    /// Records of its length that it reads.
    pub rules: Rules,
    /// The product that sends these records, where a rule says so.
    pub product: Product,
    /// The protocol offset of the device's serial number, a u32.
    pub serial: u8,
    /// The protocol offset of the serial number of the device that relays the record.
    pub relay: Option<u8>,
    /// Offset of the entries in which fields may stand.
    pub entries: Option<u8>,
    /// The fields, in the order in which every output gives them.
    pub fields: Cow<'static, [Field]>,
}

/// Offset of the serial number in most records (confidence A).
pub const SERIAL: u8 = 0x1E;

impl Layout {
    /// A confirmed layout; a field that does not fit its length does not compile.
    #[must_use]
    pub const fn confirmed(length: u8, name: &'static str, fields: &'static [Field]) -> Self {
        Self::built_in(Some(length), name, Trust::Confirmed, fields)
    }

    /// An experimental layout; a field that does not fit its length does not compile.
    #[must_use]
    pub const fn experimental(length: u8, name: &'static str, fields: &'static [Field]) -> Self {
        Self::built_in(Some(length), name, Trust::Experimental, fields)
    }

    /// An experimental layout of the status records (type `0x3510`) of any length.
    #[must_use]
    pub const fn experimental_status(name: &'static str, fields: &'static [Field]) -> Self {
        Self::built_in(None, name, Trust::Experimental, fields).requires_types(&[STATUS_TYPE])
    }

    /// The same layout for these record types alone.
    #[must_use]
    pub const fn requires_types(mut self, types: &'static [u16]) -> Self {
        self.rules.requires_types = RecordTypes::List(types);
        self
    }

    /// The same layout for other record types than these.
    #[must_use]
    pub const fn refuses_types(mut self, types: &'static [u16]) -> Self {
        self.rules.refuses_types = RecordTypes::List(types);
        self
    }

    /// The same layout for records of this product class alone.
    #[must_use]
    pub const fn requires_class(mut self, class: u8) -> Self {
        self.rules.requires_class = Some(class);
        self
    }

    /// The same layout for records of other product classes than this.
    #[must_use]
    pub const fn refuses_class(mut self, class: u8) -> Self {
        self.rules.refuses_class = Some(class);
        self
    }

    /// The same layout of a product's records.
    #[must_use]
    pub const fn of(mut self, product: Product) -> Self {
        self.product = product;
        self
    }

    /// The same layout with the serial number elsewhere than at [`SERIAL`].
    ///
    /// # Panics
    /// At compile time, where the serial number would lie past the record's end.
    #[must_use]
    pub const fn serial_at(mut self, offset: u8) -> Self {
        assert!(offset as usize + 4 <= self.end(), "serial past the end");
        self.serial = offset;
        self
    }

    /// The same layout of records that another device relays, whose serial number stands there.
    ///
    /// # Panics
    /// At compile time, where that would lie past the record's end.
    #[must_use]
    pub const fn relay_at(mut self, offset: u8) -> Self {
        assert!(offset as usize + 4 <= self.end(), "relay past the end");
        self.relay = Some(offset);
        self
    }

    /// The same layout with entries from this protocol offset on.
    #[must_use]
    pub const fn entries_at(mut self, offset: u8) -> Self {
        self.entries = Some(offset);
        self
    }

    /// The protocol offset after the longest record that it reads.
    const fn end(&self) -> usize {
        let longest = match self.length {
            Some(length) => length,
            None => u8::MAX,
        };
        RECORDS + longest as usize
    }

    const fn built_in(
        length: Option<u8>,
        name: &'static str,
        status: Trust,
        fields: &'static [Field],
    ) -> Self {
        let longest = match length {
            Some(length) => length,
            None => u8::MAX,
        };
        assert!(longest as usize >= RECORD_HEADER, "shorter than a record's header");
        let mut i = 0;
        while i < fields.len() {
            assert!(fields[i].fits(longest), "a field past the record's end");
            assert!(fields[i].has_all_words(), "an enumeration without a word for each number");
            i += 1;
        }
        Self {
            length,
            name: Cow::Borrowed(name),
            status,
            rules: Rules::ANY,
            product: Product::Unknown,
            serial: SERIAL,
            relay: None,
            entries: None,
            fields: Cow::Borrowed(fields),
        }
    }

    /// Returns what its keys begin with, `0x2B` or `zappi`; empty for confirmed keys.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let key = self.fields.first().map_or("", Field::key);
        key.split_once('/').map_or("", |(prefix, _)| prefix)
    }

    /// Checks that the layout reads `record`.
    ///
    /// # Errors
    /// [`DecodeError`] names the rule that says otherwise.
    #[inline]
    pub fn selects(&self, record: &Record<'_>, listed: Option<Product>) -> Result<(), DecodeError> {
        let (record_type, class) = (record.record_type(), record.class());
        if !self.rules.wants_type(record_type) || !self.rules.wants_class(class, listed) {
            return Err(DecodeError::NotWanted);
        }
        if !self.rules.admits_type(record_type) {
            return Err(DecodeError::RecordType(record_type));
        }
        if self.rules.refuses_class(class, listed) {
            let serial = record.at(self.serial).map_or(0, u32::from_le_bytes);
            return Err(DecodeError::Class { serial, class });
        }
        Ok(())
    }

    /// The value of a field in `record`; `None` where it is not there.
    #[must_use]
    pub fn value(&self, field: &Field, record: &Record<'_>) -> Option<Value> {
        let offset = self.place(field, record)?;
        Some(field.value(field.bits_at(record, offset)?))
    }

    /// The protocol offset of a field in `record`; `None` where its entry is not there.
    #[must_use]
    pub fn place(&self, field: &Field, record: &Record<'_>) -> Option<u8> {
        let Some(selector) = field.entry else { return Some(field.offset) };
        let entries = Entries::of(record, self.entries?)?;
        entries.find(selector)?.checked_add(field.offset)
    }
}
