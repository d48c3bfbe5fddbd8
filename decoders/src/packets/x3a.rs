//! `0x3A`. Experimental.

use crate::field::Field;
use crate::field::Raw::I16;
use crate::layout::{Layout, OTHERS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x3A, "unknown 0x3A", FIELDS).refuses_types(OTHERS)];

const FIELDS: &[Field] = &[
    Field::unknown("0x3A/v2", "Unknown v2", 0x22, I16),
    Field::unknown("0x3A/v3", "Unknown v3", 0x24, I16),
    Field::unknown("0x3A/v4", "Unknown v4", 0x26, I16),
    Field::unknown("0x3A/v5", "Unknown v5", 0x28, I16),
    Field::unknown("0x3A/v6", "Unknown v6", 0x2A, I16),
    Field::unknown("0x3A/v7", "Unknown v7", 0x2C, I16),
    Field::unknown("0x3A/v8", "Unknown v8", 0x2E, I16),
    Field::unknown("0x3A/v9", "Unknown v9", 0x30, I16),
    Field::unknown("0x3A/v10", "Unknown v10", 0x32, I16),
    Field::unknown("0x3A/v11", "Unknown v11", 0x34, I16),
    Field::unknown("0x3A/v12", "Unknown v12", 0x36, I16),
    Field::unknown("0x3A/v13", "Unknown v13", 0x38, I16),
    Field::unknown("0x3A/v14", "Unknown v14", 0x44, I16),
    Field::unknown("0x3A/v15", "Unknown v15", 0x42, I16),
];
