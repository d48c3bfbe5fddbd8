//! `0x37`. Experimental. `mqtt-energi` publishes these fields under `0x27/` by mistake; here they carry
//! their own prefix.

use crate::field::Field;
use crate::field::Raw::{I8, I16};
use crate::layout::{Layout, OTHERS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x37, "unknown 0x37", FIELDS).refuses_types(OTHERS)];

const FIELDS: &[Field] = &[
    Field::unknown("0x37/v1", "Unknown v1 (diverter power?)", 0x4D, I16),
    Field::unknown("0x37/v2", "Unknown v2", 0x3C, I8),
    Field::unknown("0x37/v3", "Unknown v3", 0x3A, I16),
    Field::unknown("0x37/v4", "Unknown v4", 0x34, I16),
    Field::unknown("0x37/V5", "Unknown V5", 0x32, I16),
    Field::unknown("0x37/v6", "Unknown v6", 0x30, I16),
    Field::unknown("0x37/v7", "Unknown v7", 0x2E, I16),
];
