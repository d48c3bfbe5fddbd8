//! Simulated time at high speed, with faults at random: at the end every reading is in every sink,
//! the energy is the truth, and the gateway has not grown.
//!
//! A day of it runs with every `cargo test`; a month, which takes a while, when it is asked for:
//!
//! ```sh
//! cargo test --test soak -- --ignored --nocapture
//! ```
//!
//! `ENERGI_SOAK_SEED` gives the random numbers another seed. What falls and how long it lasts follows from it;
//! what the gateway was doing at that moment does not.

#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod energy;
mod fault;
mod feed;
mod flood;
mod heard;
mod test_gateway;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fault::Fault;
use feed::Feed;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use support::rng::Rng;
use test_gateway::TestGateway;

/// The first day of all. Its month has a day of 23 hours in it.
const FIRST: Date = date(2026, 3, 14);

/// Simulated hours from one look at everything to the next.
const STAGE: i64 = 2;

/// Largest difference of the resident memory from one look to another, in KiB.
const FLAT: u64 = 3 * 1024;

#[test]
fn a_day_of_faults_costs_nothing() {
    soak(1);
}

#[test]
#[ignore = "a month takes a while"]
fn a_month_of_faults_costs_nothing() {
    soak(30);
}

/// Held while a test loads the machine: each measures, and none beside another.
static ALONE: Mutex<()> = Mutex::new(());

/// The machine for a test alone, whatever became of the test before.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn soak(days: i32) {
    let _alone = alone();
    let seed = std::env::var("ENERGI_SOAK_SEED").map_or(7, |seed| seed.parse().unwrap());
    let Some(mut gateway) = TestGateway::new() else { return };
    let begun = Instant::now();
    let zone = TimeZone::get("Europe/London").unwrap();
    let mut feed = Feed::new(FIRST, days, &zone);
    let mut rng = Rng(seed);
    let mut struck: BTreeMap<Fault, u32> = BTreeMap::new();
    let mut sizes = Vec::new();
    while let Some(stage) = feed.stage(STAGE) {
        let whole = gateway.lives_through(&stage, |gateway, feeding| {
            // Once at least, and as often as there is time for.
            loop {
                thread::sleep(Duration::from_millis(rng.within(0..300).unsigned_abs()));
                let fault = Fault::any(&mut rng);
                *struck.entry(fault).or_default() += 1;
                fault.strikes(gateway, &mut rng);
                if feeding.is_finished() {
                    break;
                }
            }
        });
        if !whole {
            // It was killed: its successor is fed everything since the last look.
            gateway.starts_again();
            assert!(gateway.lives_through(&stage, |_, _| ()), "it lives");
        }
        gateway.has_everything(&stage);
        sizes.push(gateway.size());
    }
    let log = gateway.ends();
    energy::is_true(&gateway.history(), &feed, &log);
    let (frames, readings) = (feed.frames(), feed.readings());
    eprintln!(
        "{days} days, {frames} frames, {readings} readings in {:.0?}; {struck:?}",
        begun.elapsed()
    );
    test_gateway::is_flat(&sizes, FLAT);
}
