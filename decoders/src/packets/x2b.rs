//! `0x2B`, eddi data 3, every 12 s. Experimental: "data not consistent", grid and generation are
//! sometimes odd or zero. They are powers of the CT entries at `0x30` and `0x38`; `divert_pwr`, which
//! `mqtt-energi` publishes, is the tail entry (see `status.rs`).

use crate::field::Confidence::{B, C};
use crate::field::Field;
use crate::field::Raw::{I16, U16};
use crate::layout::{Layout, OTHERS};
use crate::metric::{DIVERT_PWR, ENERGY, FREQUENCY, GEN_PWR, GRID_PWR};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x2B, "eddi data 3", FIELDS).refuses_types(OTHERS).refuses_class(ZAPPI_CLASS).of(Product::Eddi)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("0x2B/frequency", &FREQUENCY, 0x22, U16, B).per(100.0),
    Field::unconfirmed("0x2B/diverted_kWh", &ENERGY, 0x2C, U16, B).per(100.0),
    Field::unconfirmed("0x2B/grid_pwr", &GRID_PWR, 0x34, I16, B),
    Field::unconfirmed("0x2B/gen_pwr", &GEN_PWR, 0x3C, I16, B),
    Field::unconfirmed("0x2B/divert_pwr", &DIVERT_PWR, 0x41, I16, C),
];
