//! `0x20`, eddi data 2: what the diverter does, every 12 to 24 s. Confirmed.
//!
//! The word at `0x2E` is one status of 16 bits; only the bits below are confirmed. `divert_pwr` is
//! unsigned, as `mqtt-energi` reads it: its plausible range withholds a wrap.

use crate::field::Confidence::{A, B};
use crate::field::Field;
use crate::field::Raw::{Bit, U16};
use crate::layout::{Layout, OTHERS};
use crate::metric::{
    BOOST, DIVERT_CUR, DIVERT_PWR, DIVERTED_KWH, FREQUENCY, HEATER1, HEATER2, MAX_POWER, STOPPED,
};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::confirmed(0x20, "eddi data 2", FIELDS).refuses_types(OTHERS).refuses_class(ZAPPI_CLASS).of(Product::Eddi)];

const FIELDS: &[Field] = &[
    Field::new(&FREQUENCY, 0x22, U16, B).per(100.0),
    Field::new(&STOPPED, 0x25, Bit(7), A),
    Field::new(&MAX_POWER, 0x26, U16, B),
    Field::new(&DIVERTED_KWH, 0x2C, U16, A).per(100.0),
    Field::new(&BOOST, 0x2E, Bit(4), A),
    Field::new(&HEATER1, 0x2F, Bit(0), A),
    Field::new(&HEATER2, 0x2F, Bit(1), A),
    Field::new(&DIVERT_PWR, 0x34, U16, A),
    Field::new(&DIVERT_CUR, 0x36, U16, B).per(100.0),
];
