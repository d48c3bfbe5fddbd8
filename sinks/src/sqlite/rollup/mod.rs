//! Data computed from samples: minute sums, quarter-hour energies, and when a device was received.
//!
//! [`compute`] and [`coverage`] are pure functions; [`store`] applies them to the tables.

pub(super) mod compute;
pub(super) mod coverage;
pub(super) mod metrics;
pub(super) mod store;
