//! `0x1F`, eddi data 1: mains and the daily counter, every 12 to 24 s. Confirmed.

use crate::field::Confidence::A;
use crate::field::{Field, Raw::U16};
use crate::layout::{Layout, OTHERS};
use crate::metric::{DIVERTED_KWH, FREQUENCY, VOLTAGE};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::confirmed(0x1F, "eddi data 1", FIELDS).refuses_types(OTHERS).refuses_class(ZAPPI_CLASS).of(Product::Eddi)];

const FIELDS: &[Field] = &[
    Field::new(&FREQUENCY, 0x22, U16, A).per(100.0),
    Field::new(&DIVERTED_KWH, 0x2C, U16, A).per(100.0),
    Field::new(&VOLTAGE, 0x32, U16, A).per(10.0),
];
