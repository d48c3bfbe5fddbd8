//! A way to read bytes of a record as a number.

use std::fmt;

use energi_decoders::custom::Hex;
use energi_decoders::frame::RECORDS;
use energi_decoders::{Field, Raw, Record, Value};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Offset from which the bytes of records of one length and type can differ: at the device number,
/// after length, network and type.
pub const FIRST_OFFSET: u8 = 0x1C;

/// Some bytes of a record, read one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The protocol offset of the first byte.
    pub offset: u8,
    /// Encoding of the bytes.
    pub raw: Raw,
}

impl View {
    /// Every number that a record of `length` may hold: each offset, each type.
    pub fn numbers(length: u8) -> impl Iterator<Item = Self> {
        Self::all(length, &[Raw::U8, Raw::I8, Raw::U16, Raw::I16, Raw::U32, Raw::I32])
    }

    /// Every bit of a record of `length`.
    pub fn bits(length: u8) -> impl Iterator<Item = Self> {
        const BITS: [Raw; 8] = {
            let mut bits = [Raw::Bit(0); 8];
            let mut bit = 0;
            while bit < 8 {
                bits[bit as usize] = Raw::Bit(bit);
                bit += 1;
            }
            bits
        };
        Self::all(length, &BITS)
    }

    fn all(length: u8, types: &'static [Raw]) -> impl Iterator<Item = Self> {
        let end = u8::try_from(RECORDS + usize::from(length)).unwrap_or(u8::MAX);
        (FIRST_OFFSET..end)
            .flat_map(move |offset| types.iter().map(move |&raw| Self { offset, raw }))
            .filter(move |view| view.field().fits(length))
    }

    fn field(self) -> Field {
        Field::unknown("", "", self.offset, self.raw)
    }

    /// Returns what reads the number in a record; 0 where the record is too short for it.
    pub fn reader(self) -> impl Fn(&Record<'_>) -> i64 {
        let field = self.field();
        move |record| match field.bits(record).map(|bits| field.value(bits)) {
            Some(Value::Integer(number)) => number,
            Some(Value::Flag(flag)) => flag.into(),
            // A view is neither scaled nor shifted.
            Some(Value::Float(_) | Value::Choice(_)) | None => 0,
        }
    }

    /// Returns whether two views share a byte (or bits of different number, none).
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        if let (Raw::Bit(_), Raw::Bit(_)) = (self.raw, other.raw) {
            return self == other;
        }
        let end = |view: Self| u16::from(view.offset) + u16::from(view.raw.size());
        u16::from(self.offset) < end(other) && u16::from(other.offset) < end(self)
    }

    /// Returns whether negative numbers are possible.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self.raw, Raw::I8 | Raw::I16 | Raw::I32)
    }
}

/// `i16 at 0x34`.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at 0x{:02X}", self.raw.name(), self.offset)
    }
}

/// `{"offset": "0x34", "type": "i16"}`.
impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut view = serializer.serialize_struct("View", 2)?;
        view.serialize_field("offset", &Hex(self.offset))?;
        view.serialize_field("type", &self.raw.name())?;
        view.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_within_a_record_is_looked_at() {
        // Six bytes: only device and flags are not fixed.
        let views: Vec<_> = View::numbers(6).map(|view| view.to_string()).collect();
        let expected = ["u8 at 0x1C", "i8 at 0x1C", "u16 at 0x1C", "i16 at 0x1C", "u8 at 0x1D"];
        assert_eq!(views[..5], expected);
        assert_eq!(views.len(), 6);
        assert_eq!(View::bits(6).count(), 16);
        // The longest record that can be addressed.
        assert!(View::numbers(0xFF).all(|view| view.field().fits(0xFF)));
    }

    #[test]
    fn signed_numbers_are_little_endian() {
        let mut bytes = [0_u8; 12];
        bytes[0] = 12;
        bytes[6..12].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF, 0x01, 0x80]);
        let (record, _) = Record::split(&bytes).unwrap();
        let read = |offset, raw| View { offset, raw }.reader()(&record);
        assert_eq!(read(0x1E, Raw::U8), 254);
        assert_eq!(read(0x1E, Raw::I8), -2);
        assert_eq!(read(0x1E, Raw::I16), -2);
        assert_eq!(read(0x1E, Raw::I32), -2);
        assert_eq!(read(0x1E, Raw::U32), 0xFFFF_FFFE);
        assert_eq!(read(0x22, Raw::U16), 0x8001);
        assert_eq!(read(0x23, Raw::Bit(7)), 1);
    }
}
