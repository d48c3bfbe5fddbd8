//! Promises of the decoders.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod custom;
mod devices;
mod frames;
mod packets;
mod tutorial;

// What a file in `src/packets/` finds around it.
mod field {
    pub(crate) use energi_decoders::field::*;
}
mod layout {
    pub(crate) use energi_decoders::layout::*;
}
mod metric {
    pub(crate) use energi_decoders::metric::*;
}
mod x2c;
