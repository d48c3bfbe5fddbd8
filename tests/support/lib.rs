//! Common parts of tests: the program in a folder of its own, servers real and fake, networks,
//! disks, other users, and logs.

#![allow(clippy::new_without_default, reason = "a test says `new`")]

pub mod authority;
pub mod closed;
pub mod discovery_rules;
pub mod disk;
pub mod fake_server;
pub mod gate;
pub mod gateway;
pub mod golden;
pub mod history;
pub mod http;
pub mod influxd;
pub mod logs;
pub mod machine;
pub mod mosquitto;
pub mod nats;
pub mod network;
pub mod postgres;
pub mod process;
pub mod rabbitmq;
pub mod readings;
pub mod rng;
pub mod skip;
pub mod stranger;
pub mod terminal;
pub mod victoria;
