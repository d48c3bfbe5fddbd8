//! `0x38`. Experimental. `v1` overlaps the serial number.

use crate::field::Field;
use crate::field::Raw::I16;
use crate::layout::{Layout, OTHERS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x38, "unknown 0x38", FIELDS).refuses_types(OTHERS)];

const FIELDS: &[Field] = &[
    Field::unknown("0x38/v1", "Unknown v1", 0x20, I16),
    Field::unknown("0x38/v2", "Unknown v2", 0x22, I16),
    Field::unknown("0x38/v3", "Unknown v3 (frequency?)", 0x24, I16),
    Field::unknown("0x38/v4", "Unknown v4 (voltage?)", 0x26, I16),
    Field::unknown("0x38/v5", "Unknown v5", 0x28, I16),
    Field::unknown("0x38/v6", "Unknown v6", 0x2A, I16),
    Field::unknown("0x38/v7", "Unknown v7", 0x2C, I16),
    Field::unknown("0x38/v8", "Unknown v8", 0x2E, I16),
    Field::unknown("0x38/v9", "Unknown v9", 0x30, I16),
    Field::unknown("0x38/v10", "Unknown v10", 0x32, I16),
    Field::unknown("0x38/v11", "Unknown v11", 0x34, I16),
    Field::unknown("0x38/v12", "Unknown v12", 0x36, I16),
    Field::unknown("0x38/v13", "Unknown v13", 0x38, I16),
    Field::unknown("0x38/v14", "Unknown v14", 0x3A, I16),
    Field::unknown("0x38/v15", "Unknown v15", 0x3C, I16),
    Field::unknown("0x38/v16", "Unknown v16", 0x3E, I16),
];
