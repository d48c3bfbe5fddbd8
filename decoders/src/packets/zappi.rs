//! `zappi`: what a zappi says in its status records (type `0x3510`, any length) and in its summary
//! (`0x23`, about every second). Experimental: seen on other sites (P), never in a real capture here.
//!
//! Unsure: that the energy is the charging session's (C), that channel 1 is the car (B-), the types and
//! the generation of the summary (C).

use crate::entry::{ENTRIES, EntryHead};
use crate::field::Confidence::{B, C};
use crate::field::Field;
use crate::field::Raw::{Bit, Bits, I16, I32, U16};
use crate::layout::Layout;
use crate::metric::{
    CHARGE_POWER, COMMAND_ACCEPTED, COMMAND_ANSWERED, COMMAND_SEQUENCE, GEN_PWR, GRID_PWR,
    SESSION_ENERGY, ZAPPI_BOOSTING, ZAPPI_MODE,
};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[
    Layout::experimental_status("zappi status", STATUS)
        .requires_class(ZAPPI_CLASS)
        .of(Product::Zappi)
        .entries_at(ENTRIES),
    Layout::experimental(0x23, "zappi summary", SUMMARY)
        .requires_types(&[0x3600, 0x3601])
        .requires_class(ZAPPI_CLASS)
        .of(Product::Zappi)
        .serial_at(0x2D),
];

const STATUS: &[Field] = &[
    Field::unconfirmed("zappi/mode", &ZAPPI_MODE, 0x2F, Bits { first: 0, count: 2 }, B),
    Field::unconfirmed("zappi/charge_power", &CHARGE_POWER, 4, I16, B)
        .in_entry(EntryHead::Exact(0x08), Some(1)),
    Field::unconfirmed("zappi/session_kWh", &SESSION_ENERGY, 0x2C, U16, C).per(100.0),
    Field::unconfirmed("zappi/boosting", &ZAPPI_BOOSTING, 0x2E, Bit(4), C),
    Field::unconfirmed("zappi/command_answered", &COMMAND_ANSWERED, 0x25, Bit(7), B),
    Field::unconfirmed("zappi/command_accepted", &COMMAND_ACCEPTED, 0x25, Bit(3), B),
    Field::unconfirmed(
        "zappi/command_sequence",
        &COMMAND_SEQUENCE,
        0x25,
        Bits { first: 0, count: 3 },
        B,
    ),
];

const SUMMARY: &[Field] = &[
    Field::unconfirmed("zappi/grid_pwr", &GRID_PWR, 0x1E, I32, B),
    Field::unconfirmed("zappi/gen_pwr", &GEN_PWR, 0x22, I16, C),
    Field::unconfirmed("zappi/charge_power", &CHARGE_POWER, 0x31, I16, B),
];
