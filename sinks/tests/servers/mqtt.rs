//! What users of the `mqtt` sink are promised, against a real broker.

mod availability;
mod dislike;
mod household;
mod outage;
mod rabbitmq;
mod values;
