//! `harvi`: a harvi's record, type `0x3730`, with one, two or three CTs by its length (P, confidence
//! B). Experimental.
//!
//! Another device relays it. The serial number is the harvi's own, not the relay's.

use crate::field::Confidence::B;
use crate::field::Field;
use crate::field::Raw::{I16, U32};
use crate::layout::Layout;
use crate::metric::{CT_CURRENT, CT_POWER, RELAY};
use crate::product::Product;

pub(super) static LAYOUTS: &[Layout] =
    &[of(0x18, 3, "harvi, 1 CT"), of(0x20, 5, "harvi, 2 CTs"), of(0x28, 7, "harvi, 3 CTs")];

const fn of(length: u8, fields: usize, name: &'static str) -> Layout {
    Layout::experimental(length, name, FIELDS.split_at(fields).0)
        .requires_types(&[0x3730])
        .of(Product::Harvi)
        .serial_at(0x22)
        .relay_at(0x1E)
}

const FIELDS: &[Field] = &[
    Field::unconfirmed("harvi/relay", &RELAY, 0x1E, U32, B),
    Field::unconfirmed("harvi/ct1_power", &CT_POWER, 0x2A, I16, B),
    Field::unconfirmed("harvi/ct1_current", &CT_CURRENT, 0x2C, I16, B).per(100.0),
    Field::unconfirmed("harvi/ct2_power", &CT_POWER, 0x32, I16, B),
    Field::unconfirmed("harvi/ct2_current", &CT_CURRENT, 0x34, I16, B).per(100.0),
    Field::unconfirmed("harvi/ct3_power", &CT_POWER, 0x3A, I16, B),
    Field::unconfirmed("harvi/ct3_current", &CT_CURRENT, 0x3C, I16, B).per(100.0),
];
