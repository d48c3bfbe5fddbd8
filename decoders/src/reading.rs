//! The typed reading: what one record said about one device at one moment.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use crate::field::Field;
use crate::frame::{MacAddress, Record};
use crate::layout::{Layout, Trust};
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

/// Whether a serial number is one that only a blank or damaged record shows: no device has it.
#[must_use]
pub const fn is_no_device(serial: u32) -> bool {
    serial == 0 || serial == u32::MAX
}

/// What one record said about one device at one moment.
///
/// It holds raw numbers and the table that explains them; a value is worked out when it is asked
/// for. That keeps a reading small, and decoding little more than a copy.
#[derive(Debug, Clone)]
pub struct Reading {
    /// When the frame was captured; `None` where the input does not say.
    pub time: Option<Timestamp>,
    /// The device's serial number.
    pub serial: u32,
    /// The frame's sender; `None` where the input has no Ethernet header.
    pub mac: Option<MacAddress>,
    /// The record type at `0x1A`.
    pub record_type: u16,
    layout: LayoutRef,
    /// The raw number of each field of the layout, in its order.
    bits: [u32; MAX_FIELDS],
    /// Bit `i` is set while field `i` is withheld.
    withheld: u32,
}

impl Reading {
    /// Reads every field of `layout` in `record`.
    ///
    /// `None` where the record is too short for one of them, or there are more than
    /// [`MAX_FIELDS`].
    #[inline]
    pub(crate) fn read(layout: &LayoutRef, record: &Record<'_>) -> Option<Self> {
        let serial = u32::from_le_bytes(record.at(layout.serial)?);
        let fields: &[Field] = &layout.fields;
        let mut bits = [0; MAX_FIELDS];
        for (slot, field) in bits.get_mut(..fields.len())?.iter_mut().zip(fields) {
            *slot = field.bits(record)?;
        }
        Some(Self {
            time: None,
            serial,
            mac: None,
            record_type: record.record_type(),
            layout: layout.clone(),
            bits,
            withheld: 0,
        })
    }

    /// The table that the reading was read by.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The packet-length byte.
    #[must_use]
    pub fn packet(&self) -> u8 {
        self.layout.length
    }

    /// Whether a decoder made it that is not confirmed.
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

    /// Whether no field is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }
}
