//! `0x2B`, eddi data 3, every 12 s. Experimental: "data not consistent", grid and generation are
//! sometimes odd or zero. `divert_pwr` is published by `mqtt-energi`, yet by the layout of a CT entry
//! it is no power.

use crate::field::Confidence::{B, C};
use crate::field::Field;
use crate::field::Raw::{I16, U16};
use crate::layout::Layout;
use crate::metric::{DIVERT_PWR, DIVERTED_KWH, FREQUENCY, GEN_PWR, GRID_PWR};

pub(super) static LAYOUT: Layout = Layout::experimental(0x2B, "eddi data 3", FIELDS);

const FIELDS: &[Field] = &[
    Field::unconfirmed("0x2B/frequency", &FREQUENCY, 0x22, U16, B).per(100.0),
    Field::unconfirmed("0x2B/diverted_kWh", &DIVERTED_KWH, 0x2C, U16, B).per(100.0),
    Field::unconfirmed("0x2B/grid_pwr", &GRID_PWR, 0x34, I16, B),
    Field::unconfirmed("0x2B/gen_pwr", &GEN_PWR, 0x3C, I16, B),
    Field::unconfirmed("0x2B/divert_pwr", &DIVERT_PWR, 0x41, I16, C),
];
