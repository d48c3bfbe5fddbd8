//! `0x27`, every 4 s. Experimental: the firmware fields are sometimes blank, `v1` follows the divert
//! power but not exactly. `V5` is the spelling of `mqtt-energi`.

use crate::field::Confidence::B;
use crate::field::Field;
use crate::field::Raw::{I8, I16, U16};
use crate::layout::{Layout, OTHERS};
use crate::metric::{ENERGY, FREQUENCY};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x27, "eddi data 4", FIELDS).refuses_types(OTHERS).refuses_class(ZAPPI_CLASS).of(Product::Eddi)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("0x27/frequency", &FREQUENCY, 0x22, U16, B).per(100.0),
    Field::unconfirmed("0x27/diverted_kWh", &ENERGY, 0x2C, U16, B).per(100.0),
    Field::unknown("0x27/fw1", "Firmware part 1", 0x38, I16),
    Field::unknown("0x27/fw2", "Firmware part 2", 0x36, I16),
    Field::unknown("0x27/v1", "Unknown v1 (follows the divert power)", 0x3D, I8),
    Field::unknown("0x27/v2", "Unknown v2", 0x3C, I8),
    Field::unknown("0x27/v3", "Unknown v3", 0x3A, I16),
    Field::unknown("0x27/v4", "Unknown v4", 0x34, I16),
    Field::unknown("0x27/V5", "Unknown V5", 0x32, I16),
    Field::unknown("0x27/v6", "Unknown v6", 0x30, I16),
    Field::unknown("0x27/v7", "Unknown v7", 0x2E, I16),
];
