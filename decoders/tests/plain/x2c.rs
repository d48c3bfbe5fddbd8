//! `0x2C`, every 12 s. Experimental: found by correlation with confirmed metrics, on one site.

use crate::field::Confidence::C;
use crate::field::Field;
use crate::field::Raw::{I16, U16};
use crate::layout::Layout;
use crate::metric::{DIVERT_PWR, ENERGY};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x2C, "eddi data 5", FIELDS)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("0x2C/diverted_kWh", &ENERGY, 0x22, U16, C).per(100.0),
    Field::unconfirmed("0x2C/divert_pwr", &DIVERT_PWR, 0x34, I16, C).per(1.0 / 60.0),
];
