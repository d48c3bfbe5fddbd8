//! `status`: the status record of any device, type `0x3510`, of any length. Experimental.
//!
//! 24 fixed bytes, then entries (P, confidence B+). Fields are found by walking the entries; a CT is
//! named by its channel, which is 1 for the load inside the device and 2 and up for inputs (B-).

use crate::entry::{ENTRIES, EntryHead};
use crate::field::Confidence::{A, B, C};
use crate::field::Field;
use crate::field::Raw::{Bits, I16, U16};
use crate::layout::Layout;
use crate::metric::{CT_CURRENT, CT_POWER, ENERGY, FREQUENCY, PRIORITY, RATING, VOLTAGE};

pub(super) static LAYOUTS: &[Layout] =
    &[Layout::experimental_status("device status", FIELDS).entries_at(ENTRIES)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("status/frequency", &FREQUENCY, 0x22, U16, B).per(100.0),
    Field::unconfirmed("status/rating", &RATING, 0x26, U16, B),
    Field::unconfirmed("status/energy", &ENERGY, 0x2C, U16, C).per(100.0),
    Field::unconfirmed("status/priority", &PRIORITY, 0x2E, Bits { first: 0, count: 3 }, B),
    Field::unconfirmed("status/voltage", &VOLTAGE, 2, U16, A)
        .per(10.0)
        .in_entry(EntryHead::Exact(0x14), None),
    power("status/ct1_power", 1),
    current("status/ct1_current", 1),
    power("status/ct2_power", 2),
    current("status/ct2_current", 2),
    power("status/ct3_power", 3),
    current("status/ct3_current", 3),
    power("status/ct4_power", 4),
    current("status/ct4_current", 4),
    power("status/ct5_power", 5),
    current("status/ct5_current", 5),
    power("status/ct6_power", 6),
    current("status/ct6_current", 6),
    Field::unknown("status/tail", "Tail (follows the divert power)", 1, I16)
        .in_entry(EntryHead::Size(3), None),
];

const fn power(key: &'static str, channel: u8) -> Field {
    Field::unconfirmed(key, &CT_POWER, 4, I16, B).in_entry(EntryHead::Exact(0x08), Some(channel))
}

const fn current(key: &'static str, channel: u8) -> Field {
    Field::unconfirmed(key, &CT_CURRENT, 6, I16, B)
        .per(100.0)
        .in_entry(EntryHead::Exact(0x08), Some(channel))
}
