//! The decoder table: 256 slots, indexed by the packet-length byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::custom::Hex;
use crate::decoder::{Decoder, TableDecoder};
use crate::error::DecodeError;
use crate::frame::Record;
use crate::layout::{Layout, Trust};
use crate::packets;
use crate::product::{Product, ZAPPI_CLASS};
use crate::reading::{MAX_FIELDS, Reading};
use crate::switch::Switch;

/// Reason why a decoder cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// Two decoders would claim the same records with the same standing.
    #[error("{place}: `{first}` and `{second}` both read it; give them different record types")]
    Duplicate {
        /// The length byte or the prefix.
        place: String,
        /// The decoder that is registered.
        first: String,
        /// The decoder that is refused.
        second: String,
    },
    /// A field does not lie inside a record of the decoder's length.
    #[error("{place}: field `{key}` at {offset:#04X} is past the end of its record or entry")]
    PastEnd {
        /// The length byte or the prefix.
        place: String,
        /// The field's key.
        key: String,
        /// The field's offset.
        offset: u8,
    },
    /// More fields than a reading holds.
    #[error("{place}: {count} fields; a decoder has at most {MAX_FIELDS}")]
    TooManyFields {
        /// The length byte or the prefix.
        place: String,
        /// Number of fields.
        count: usize,
    },
    /// A key would mean two things.
    #[error("{place}: `{key}` is a key of `{other}` already; give it another name")]
    Key {
        /// The length byte or the prefix.
        place: String,
        /// The key.
        key: String,
        /// The decoder that has it.
        other: String,
    },
}

/// A decoder as a slot holds it.
#[derive(Debug, Clone)]
struct Slot {
    decoder: Arc<dyn Decoder>,
    /// Record types that a declared decoder of this length reads in its place.
    replaced: Vec<u16>,
    /// The product classes whose records need no other look at the rules, a bit each.
    plain_classes: u8,
    /// The product classes whose records it may read at all, a bit each.
    wanted_classes: u8,
    /// The record types that do need one, by [`type_bit`].
    special_types: u64,
}

/// A bit for a record type: several types share one, but none of those that were seen.
const fn type_bit(record_type: u16) -> u64 {
    1 << ((record_type ^ record_type >> 7) & 63)
}

const _: () = {
    let seen =
        [0x3510, 0x3600, 0x3601, 0x3730, 0x5A5A, 0x6B6B, 0x7878, 0x7979, 0x7C7C, 0xC1B7, 0xCC99];
    let (mut bits, mut index) = (0, 0);
    while index < seen.len() {
        assert!(
            bits & type_bit(seen[index]) == 0,
            "two types share a bit: records are slow to read"
        );
        bits |= type_bit(seen[index]);
        index += 1;
    }
};

impl Slot {
    fn new(decoder: &Arc<dyn Decoder>, replaced: Vec<u16>) -> Self {
        let Layout { rules, product, .. } = decoder.layout();
        let class = |class: Option<u8>| class.map_or(0, |class| 1_u8 << (class & 7));
        let plain_classes = match rules.requires_types.as_slice() {
            [] if rules.requires_class.is_none() => !class(rules.refuses_class),
            _ => 0,
        };
        // Such a record says what its device is.
        let told = if *product == Product::Unknown { 1 << ZAPPI_CLASS } else { 0 };
        let types = rules.refuses_types.as_slice().iter().chain(&replaced);
        let special_types = types.fold(0, |bits, record_type| bits | type_bit(*record_type));
        Self {
            decoder: Arc::clone(decoder),
            replaced,
            plain_classes: plain_classes & !told,
            wanted_classes: rules.requires_class.map_or(u8::MAX, |class| 1 << (class & 7)),
            special_types,
        }
    }

    /// Returns whether the rules surely let a record pass: a quick look that nearly always decides.
    #[inline]
    fn is_plain(&self, (record_type, class): (u16, u8)) -> bool {
        self.plain_classes >> class & 1 == 1 && self.special_types & type_bit(record_type) == 0
    }
}

/// The decoders that are switched on, by the length byte of the records that they read.
///
/// A decoder of any length stands in every slot.
#[derive(Debug)]
pub struct DecoderTable {
    slots: Box<[Vec<Slot>; 256]>,
    decoders: Vec<Arc<dyn Decoder>>,
    products: BTreeMap<u32, Product>,
}

impl DecoderTable {
    /// The confirmed decoders.
    #[must_use]
    pub fn confirmed() -> Self {
        let mut table = Self {
            slots: Box::new([const { Vec::new() }; 256]),
            decoders: Vec::new(),
            products: BTreeMap::new(),
        };
        for layout in packets::all().filter(|layout| layout.status == Trust::Confirmed) {
            table.add(Arc::new(TableDecoder::new(layout)));
        }
        table
    }

    /// Every built-in decoder, the experimental ones switched on.
    #[must_use]
    pub fn built_in() -> Self {
        let mut table = Self::confirmed();
        for layout in packets::all().filter(|layout| layout.status == Trust::Experimental) {
            table.add(Arc::new(TableDecoder::new(layout)));
        }
        table
    }

    /// Says what devices are, by serial number: that overrides the product class of their records.
    #[must_use]
    pub fn with_products(mut self, products: impl IntoIterator<Item = (u32, Product)>) -> Self {
        self.products.extend(products);
        self
    }

    /// Switches built-in experimental decoders on.
    ///
    /// # Errors
    /// [`RegisterError::Duplicate`] where they are on.
    pub fn switch_on(&mut self, switch: Switch) -> Result<(), RegisterError> {
        let prefix = switch.prefix();
        let wanted =
            |layout: &&Layout| layout.status == Trust::Experimental && layout.prefix() == prefix;
        packets::all()
            .filter(wanted)
            .try_for_each(|layout| self.register(Box::new(TableDecoder::new(layout))))
    }

    /// Adds a decoder after those that its length has. A declared one replaces an experimental one
    /// that is built in for its length and type.
    ///
    /// # Errors
    /// [`RegisterError`] says why it cannot stand beside them.
    pub fn register(&mut self, decoder: Box<dyn Decoder>) -> Result<(), RegisterError> {
        let layout = decoder.layout();
        let place = place(layout);
        if layout.fields.len() > MAX_FIELDS {
            return Err(RegisterError::TooManyFields { place, count: layout.fields.len() });
        }
        let longest = layout.length.unwrap_or(u8::MAX);
        if let Some(field) = layout.fields.iter().find(|field| !field.fits(longest)) {
            return Err(RegisterError::PastEnd {
                place,
                key: field.key().to_owned(),
                offset: field.offset,
            });
        }
        let rival = self.iter().map(Decoder::layout).find(|other| {
            (other.length, other.status, &other.rules, other.prefix())
                == (layout.length, layout.status, &layout.rules, layout.prefix())
        });
        if let Some(rival) = rival {
            return Err(RegisterError::Duplicate {
                place,
                first: rival.name.to_string(),
                second: layout.name.to_string(),
            });
        }
        if let Some((key, other)) = self.taken_key(layout) {
            return Err(RegisterError::Key { place, key, other });
        }
        self.add(Arc::from(decoder));
        Ok(())
    }

    /// A key of `layout` that another decoder has for something else. Built-in decoders agree on
    /// their keys, and a declared one takes the place of experimental ones.
    fn taken_key(&self, layout: &Layout) -> Option<(String, String)> {
        let yields = |other: &&Layout| {
            !replaces(layout, other)
                && !replaces(other, layout)
                && other.prefix() == layout.prefix()
        };
        self.iter().map(Decoder::layout).filter(yields).find_map(|other| {
            let clash = layout.fields.iter().find(|field| {
                other
                    .fields
                    .iter()
                    .any(|theirs| theirs.key() == field.key() && theirs.metric != field.metric)
            });
            clash.map(|field| (field.key().to_owned(), other.name.to_string()))
        })
    }

    fn add(&mut self, decoder: Arc<dyn Decoder>) {
        let order =
            |decoder: &Arc<dyn Decoder>| decoder.layout().length.map_or(usize::MAX, usize::from);
        let end = self.decoders.partition_point(|other| order(other) <= order(&decoder));
        self.decoders.insert(end, decoder);
        // Slots are made again from the list, so that the order of registration does not matter.
        self.slots.iter_mut().for_each(Vec::clear);
        for decoder in &self.decoders {
            let layout = decoder.layout();
            let Some(replaced) = replaced(layout, &self.decoders) else { continue };
            let lengths = layout.length.map_or(0..=u8::MAX, |length| length..=length);
            for length in lengths {
                self.slots[usize::from(length)].push(Slot::new(decoder, replaced.clone()));
            }
        }
        // Of one length: confirmed, then experimental, then declared.
        for slot in self.slots.iter_mut() {
            slot.sort_by_key(|slot| slot.decoder.layout().status as u8);
        }
    }

    /// Returns what the decoders of its length make of a record: the confirmed one's reading first.
    pub fn decode<'a>(
        &'a self,
        record: &'a Record<'a>,
    ) -> impl Iterator<Item = Result<Reading, DecodeError>> + 'a {
        self.decoders(record).map(move |decoder| decoder.decode(record))
    }

    /// The decoders of a record's length; their rules are still to be asked, which
    /// [`RecordDecoder::decode`] does.
    #[inline]
    pub fn decoders<'a>(
        &'a self,
        record: &Record<'_>,
    ) -> impl Iterator<Item = RecordDecoder<'a>> + use<'a> {
        let slots = &self.slots[usize::from(record.length())];
        // A listed device may be of another class than its records say.
        let class = if self.products.is_empty() { 1 << record.kind().1 } else { u8::MAX };
        let wanting = slots.iter().filter(move |slot| slot.wanted_classes & class != 0);
        wanting.map(move |slot| RecordDecoder { table: self, slot })
    }

    /// Reads a record where every rule says that it may be read.
    #[cold]
    #[inline(never)]
    fn read(&self, slot: &Slot, record: &Record<'_>) -> Result<Reading, DecodeError> {
        if slot.replaced.contains(&record.record_type()) {
            return Err(DecodeError::NotWanted);
        }
        let layout = slot.decoder.layout();
        let listed = self.listed(layout, record);
        layout.selects(record, listed)?;
        let mut decoded = slot.decoder.decode(record);
        if let Ok(reading) = &mut decoded {
            reading.product = match listed {
                Some(product) => product,
                None if layout.product == Product::Unknown && record.class() == ZAPPI_CLASS => {
                    Product::Zappi
                }
                None => layout.product,
            };
        }
        decoded
    }

    /// Returns what the configuration says that the device of a record is.
    #[inline]
    fn listed(&self, layout: &Layout, record: &Record<'_>) -> Option<Product> {
        if self.products.is_empty() {
            return None;
        }
        self.products.get(&u32::from_le_bytes(record.at(layout.serial)?)).copied()
    }

    /// Every decoder that is on, by length; those of any length last.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Decoder> {
        let stays =
            |decoder: &&Arc<dyn Decoder>| replaced(decoder.layout(), &self.decoders).is_some();
        self.decoders.iter().filter(stays).map(AsRef::as_ref)
    }
}

/// A decoder of a table, for records of one length.
#[derive(Debug, Clone, Copy)]
pub struct RecordDecoder<'a> {
    table: &'a DecoderTable,
    slot: &'a Slot,
}

impl RecordDecoder<'_> {
    /// Reads `record`, where every rule says that it may be read.
    ///
    /// # Errors
    /// [`DecodeError`] says why not.
    #[inline]
    pub fn decode(&self, record: &Record<'_>) -> Result<Reading, DecodeError> {
        if self.table.products.is_empty() && self.slot.is_plain(record.kind()) {
            return self.slot.decoder.decode(record);
        }
        self.table.read(self.slot, record)
    }
}

/// Returns where a decoder is, for messages.
fn place(layout: &Layout) -> String {
    layout.length.map_or_else(|| layout.prefix().to_owned(), |length| Hex(length).to_string())
}

/// Returns whether `new` is declared for the length and a type of `old`, which is built in and
/// experimental.
fn replaces(new: &Layout, old: &Layout) -> bool {
    new.status == Trust::Declared
        && old.status == Trust::Experimental
        && old.length.is_some()
        && old.length == new.length
        && match new.rules.requires_types.as_slice() {
            [] => old.rules.requires_types.as_slice().is_empty(),
            wanted => wanted.iter().any(|record_type| old.rules.admits_type(*record_type)),
        }
}

/// The record types of `layout` that declared decoders take over; `None` where that is all of them.
fn replaced(layout: &Layout, decoders: &[Arc<dyn Decoder>]) -> Option<Vec<u16>> {
    let mut types = Vec::new();
    for new in decoders.iter().map(|decoder| decoder.layout()).filter(|new| replaces(new, layout)) {
        let shares_a_key = || {
            new.fields.iter().any(|field| layout.fields.iter().any(|old| old.key() == field.key()))
        };
        // A key has one meaning: that of the declared decoder.
        let taken = new.rules.requires_types.as_slice();
        if taken.is_empty() || shares_a_key() {
            return None;
        }
        types.extend_from_slice(taken);
    }
    Some(types)
}
