//! Promises to users of the `mqtt` sink, against a real broker.

mod availability;
mod clean;
mod dislike;
mod household;
mod outage;
mod rabbitmq;
mod values;
