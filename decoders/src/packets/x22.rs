//! `0x22`, CT readings: power at the grid, the generator and the device, every 2 s. Confirmed.
//!
//! A zappi sends it too (P, its class has confidence B). Grid and generation are those of the house
//! whichever device says so; its own power is no diverted power.

use crate::field::Confidence::A;
use crate::field::{Field, Raw::I16};
use crate::layout::{Layout, OTHERS};
use crate::metric::{DIVERT_PWR, GEN_PWR, GRID_PWR};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[
    Layout::confirmed(0x22, "CT readings", FIELDS)
        .serial_at(0x2E)
        .refuses_types(OTHERS)
        .refuses_class(ZAPPI_CLASS)
        .of(Product::Eddi),
    Layout::confirmed(0x22, "CT readings of a zappi", FIELDS.split_at(2).0)
        .serial_at(0x2E)
        .refuses_types(OTHERS)
        .requires_class(ZAPPI_CLASS)
        .of(Product::Zappi),
];

const FIELDS: &[Field] = &[
    Field::new(&GRID_PWR, 0x1E, I16, A),
    Field::new(&GEN_PWR, 0x22, I16, A),
    Field::new(&DIVERT_PWR, 0x32, I16, A),
];
