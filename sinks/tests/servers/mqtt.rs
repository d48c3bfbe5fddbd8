//! What users of the `mqtt` sink are promised, against a real broker.

mod availability;
mod household;
mod outage;
mod values;
