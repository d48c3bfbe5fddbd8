//! `eddi`: settings in an eddi's status record, type `0x3510`, of any length. Experimental.
//!
//! The byte at `0x25` has them beside the bit that says stopped (S, P; confidence B-). A zappi keeps
//! the answer to a command there, so its class is refused. Bit 3 of the status word at `0x2E` is set
//! while the heater is hot, as one site saw it (P; confidence C). The entries are not read, but
//! walked: a record that has none is no status record.

use crate::entry::ENTRIES;
use crate::field::Confidence::{B, C};
use crate::field::Field;
use crate::field::Raw::{Bit, Bits};
use crate::layout::Layout;
use crate::metric::{CHECK_PERIOD, HEATER_HOT, HEATER_PRIORITY};
use crate::product::{Product, ZAPPI_CLASS};

pub(super) static LAYOUTS: &[Layout] = &[Layout::experimental_status("eddi settings", FIELDS)
    .refuses_class(ZAPPI_CLASS)
    .entries_at(ENTRIES)
    .of(Product::Eddi)];

const FIELDS: &[Field] = &[
    Field::unconfirmed("eddi/priority", &HEATER_PRIORITY, 0x25, Bit(5), B),
    // Steps of five minutes.
    Field::unconfirmed("eddi/check_period", &CHECK_PERIOD, 0x25, Bits { first: 0, count: 5 }, B)
        .per(0.2),
    Field::unconfirmed("eddi/hot", &HEATER_HOT, 0x2E, Bit(3), C),
];
