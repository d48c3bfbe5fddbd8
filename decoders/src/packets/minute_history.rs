//! `minute_history`: averages of a minute, length `0x36`, type `0x5A5A` (S saw the length, P the type).
//! Experimental: sometimes everything drops to zero, as averages do that start again.
//!
//! The maker's cloud shows such a history; its words are found there by equality, which
//! docs/first-capture.md describes. `0x36` reads the same record word by word; both may be on.

use crate::field::Confidence::B;
use crate::field::Field;
use crate::field::Raw::{I16, U16};
use crate::layout::Layout;
use crate::metric::{FREQUENCY, GEN_PWR, HEATSINK, VOLTAGE};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental(0x36, "minute history", FIELDS)
    .requires_types(&[0x5A5A])
    .serial_at(0x4A)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("minute_history/voltage", &VOLTAGE, 0x38, U16, B).per(10.0),
    Field::unconfirmed("minute_history/frequency", &FREQUENCY, 0x3A, U16, B).per(100.0),
    Field::unconfirmed("minute_history/heatsink", &HEATSINK, 0x3C, I16, B).per(10.0),
    Field::unconfirmed("minute_history/generation", &GEN_PWR, 0x30, I16, B),
];
