//! `0x22`, CT readings: power at the grid, the generator and the heater, every 2 s. Confirmed.

use crate::field::Confidence::A;
use crate::field::{Field, Raw::I16};
use crate::layout::Layout;
use crate::metric::{DIVERT_PWR, GEN_PWR, GRID_PWR};

pub(super) static LAYOUT: Layout = Layout::confirmed(0x22, "CT readings", FIELDS).serial_at(0x2E);

const FIELDS: &[Field] = &[
    Field::new(&GRID_PWR, 0x1E, I16, A),
    Field::new(&GEN_PWR, 0x22, I16, A),
    Field::new(&DIVERT_PWR, 0x32, I16, A),
];
