//! The typed reading: what one record said about one device at one moment.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use crate::entry::Entries;
use crate::error::DecodeError;
use crate::field::Field;
use crate::frame::{MacAddress, Record};
use crate::layout::{Layout, Trust};
use crate::product::Product;
use crate::value::Value;

/// The most fields that one decoder may have.
pub const MAX_FIELDS: usize = 32;

/// A layout that outlives every reading of it: built in, or shared by the readings of a custom
/// decoder.
#[derive(Debug, Clone)]
pub enum LayoutRef {
    /// Built into the program.
    Static(&'static Layout),
    /// Declared at run time.
    Shared(Arc<Layout>),
}

impl Deref for LayoutRef {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        match self {
            Self::Static(layout) => layout,
            Self::Shared(layout) => layout,
        }
    }
}

impl From<&'static Layout> for LayoutRef {
    fn from(layout: &'static Layout) -> Self {
        Self::Static(layout)
    }
}

impl From<Layout> for LayoutRef {
    fn from(layout: Layout) -> Self {
        Self::Shared(Arc::new(layout))
    }
}

/// Returns whether a serial number is one that only a blank or damaged record shows: no device has
/// it.
#[must_use]
pub const fn is_no_device(serial: u32) -> bool {
    serial == 0 || serial == u32::MAX
}

/// Values of one record about one device at one time.
///
/// It holds raw numbers and the table that explains them; a value is worked out when it is asked
/// for. That keeps a reading small, and decoding little more than a copy.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Time of the capture; `None` where the input does not say.
    pub time: Option<Timestamp>,
    /// The device's serial number.
    pub serial: u32,
    /// The frame's sender; `None` where the input has no Ethernet header.
    pub mac: Option<MacAddress>,
    /// The record type at `0x1A`.
    pub record_type: u16,
    /// Product of the device, as far as the record or the configuration tells.
    pub product: Product,
    packet: u8,
    layout: LayoutRef,
    /// The raw number of each field of the layout, in its order.
    bits: [u32; MAX_FIELDS],
    /// Bit `i` is set while field `i` is withheld or not in the record.
    withheld: u32,
}

impl Reading {
    /// Reads every field of `layout` in `record`; one whose entry is not there has no value.
    #[inline]
    pub(crate) fn read(layout: &LayoutRef, record: &Record<'_>) -> Result<Self, DecodeError> {
        let fields: &[Field] = &layout.fields;
        let Some(serial) = record.at(layout.serial) else { return Err(DecodeError::TooShort) };
        let mut bits = [0; MAX_FIELDS];
        let Some(slots) = bits.get_mut(..fields.len()) else { return Err(DecodeError::TooShort) };
        let mut withheld = 0;
        if let Some(start) = layout.entries {
            withheld = read_entries(slots, fields, record, start)?;
        } else {
            for (slot, field) in slots.iter_mut().zip(fields) {
                let Some(bits) = field.bits_at(record, field.offset) else {
                    return Err(DecodeError::TooShort);
                };
                *slot = bits;
            }
        }
        Ok(Self {
            time: None,
            serial: u32::from_le_bytes(serial),
            mac: None,
            record_type: record.record_type(),
            product: layout.product,
            packet: record.length(),
            layout: layout.clone(),
            bits,
            withheld,
        })
    }

    /// Serial number of the device that relays the record for this one.
    #[must_use]
    pub fn relay(&self) -> Option<u32> {
        let place = self.layout.relay?;
        let fields = self.layout.fields.iter().zip(self.bits);
        fields.filter(|(field, _)| field.offset == place).map(|(_, bits)| bits).next()
    }

    /// The table that the reading was read by.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The packet-length byte.
    #[must_use]
    pub const fn packet(&self) -> u8 {
        self.packet
    }

    /// Returns whether a decoder made it that is not confirmed.
    #[must_use]
    pub fn experimental(&self) -> bool {
        self.layout.status != Trust::Confirmed
    }

    /// The metrics and their values in the layout's order, those withheld left out.
    pub fn fields(&self) -> impl Iterator<Item = (&Field, Value)> {
        self.slots().filter_map(|(field, value)| Some((field, value?)))
    }

    /// Every field of the layout, with its value unless that is withheld.
    pub fn slots(&self) -> impl Iterator<Item = (&Field, Option<Value>)> {
        self.layout.fields.iter().zip(&self.bits).enumerate().map(|(index, (field, bits))| {
            (field, (self.withheld >> index & 1 == 0).then(|| field.value(*bits)))
        })
    }

    /// The value of `key`, unless it is withheld or not a field of this packet.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.fields().find(|(field, _)| field.key() == key).map(|(_, value)| value)
    }

    /// Withholds each field for which `judge` says false.
    pub fn retain(&mut self, mut judge: impl FnMut(&Field, Value) -> bool) {
        let mut withheld = self.withheld;
        for (index, (field, value)) in self.slots().enumerate() {
            if value.is_some_and(|value| !judge(field, value)) {
                withheld |= 1 << index;
            }
        }
        self.withheld = withheld;
    }

    /// Returns whether no field is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }
}

/// Reads fields of which some stand in entries, and returns which have no value.
#[inline(never)]
fn read_entries(
    slots: &mut [u32],
    fields: &[Field],
    record: &Record<'_>,
    start: u8,
) -> Result<u32, DecodeError> {
    let entries = Entries::of(record, start).ok_or(DecodeError::Entries)?;
    let mut absent = 0_u32;
    for (index, (slot, field)) in slots.iter_mut().zip(fields).enumerate() {
        let offset = match field.entry {
            None => field.offset,
            Some(selector) => {
                let Some(entry) = entries.find(selector) else {
                    absent |= 1 << index;
                    continue;
                };
                entry.saturating_add(field.offset)
            }
        };
        *slot = field.bits_at(record, offset).ok_or(DecodeError::TooShort)?;
    }
    if absent.count_ones() as usize == fields.len() { Err(DecodeError::Empty) } else { Ok(absent) }
}
