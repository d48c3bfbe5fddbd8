//! `0x36`, every 2 s. Experimental: sometimes everything drops to zero. The serial number stands near
//! the end. Type `0x5A5A` is a minute history, which `minute_history.rs` explains; this table stays
//! for those who know its keys from `mqtt-energi`.

use crate::field::Field;
use crate::field::Raw::I16;
use crate::layout::Layout;

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x36, "unknown 0x36", FIELDS).serial_at(0x4A).refuses_types(NOT_MINUTES)];

/// Types of [`OTHERS`] that are not minute histories either.
const NOT_MINUTES: &[u16] = &[0x3730, 0x7979, 0x7C7C];

const FIELDS: &[Field] = &[
    Field::unknown("0x36/v1", "Unknown v1", 0x1C, I16),
    Field::unknown("0x36/v2", "Unknown v2", 0x1E, I16),
    Field::unknown("0x36/v3", "Unknown v3", 0x20, I16),
    Field::unknown("0x36/v4", "Unknown v4", 0x22, I16),
    Field::unknown("0x36/v5", "Unknown v5", 0x24, I16),
    Field::unknown("0x36/v6", "Unknown v6", 0x30, I16),
    Field::unknown("0x36/v7", "Unknown v7", 0x34, I16),
    Field::unknown("0x36/v8", "Unknown v8", 0x36, I16),
    Field::unknown("0x36/v9", "Unknown v9 (voltage?)", 0x38, I16),
    Field::unknown("0x36/v10", "Unknown v10 (frequency?)", 0x3A, I16),
    Field::unknown("0x36/v11", "Unknown v11 (heatsink temperature?)", 0x3C, I16),
    Field::unknown("0x36/v12", "Unknown v12", 0x3E, I16),
    Field::unknown("0x36/v13", "Unknown v13", 0x40, I16),
    Field::unknown("0x36/v14", "Unknown v14", 0x42, I16),
    Field::unknown("0x36/v15", "Unknown v15", 0x44, I16),
    Field::unknown("0x36/v16", "Unknown v16", 0x46, I16),
    Field::unknown("0x36/v17", "Unknown v17", 0x48, I16),
];
