//! A broker that is slow, hangs or crashes.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::house::{House, Wishes, at_home};
use support::gateway::Desk;

/// A connection that soon finds out, and values that are there for who subscribes late.
const QUICK: Wishes<'static> =
    Wishes { mqtt: ", keep_alive: 1s, retain: true", influxdb: "", files: "", command: None };

fn broker(house: &House, signal: Signal) {
    kill_process(Pid::from_child(&house.broker.process().0), signal).unwrap();
}

#[test]
fn a_broker_that_hangs_costs_the_others_nothing_and_has_the_newest_value_afterwards() {
    at_home(|network| {
        let Some(mut house) = House::new(&network, Desk::new(), &QUICK) else { return };
        house.sends(1..10);
        house.has_everywhere(1..10);
        broker(&house, Signal::STOP);
        house.sends(10..30);
        house.prints(1..30);
        house.stores(1..30);
        house.delivers(1..30);
        // Once the keep-alive is over.
        house.says_of("mqtt", "trying again");
        broker(&house, Signal::CONT);
        // The broker has lost it, too, and then has it back.
        house.listener.wait("the last will", |heard| {
            heard.iter().any(|it| it.topic == "myenergi/bridge/state" && it.payload == "offline")
        });
        house.listener.wait_for("myenergi/bridge/state", "online");
        house.publishes(29);
        house.sends(30..40);
        house.has_everywhere(1..40);
        house.ends();
    });
}

#[test]
fn a_broker_that_crashes_costs_the_others_nothing_and_has_the_newest_value_afterwards() {
    at_home(|network| {
        let Some(mut house) = House::new(&network, Desk::new(), &QUICK) else { return };
        house.sends(1..10);
        house.has_everywhere(1..10);
        house.broker.kill();
        house.sends(10..30);
        house.prints(1..30);
        house.stores(1..30);
        house.delivers(1..30);
        house.broker.run();
        house.listener.until_subscribed(2);
        house.publishes(29);
        house.sends(30..40);
        house.has_everywhere(1..40);
        house.ends();
    });
}

#[test]
fn a_broker_that_is_slow_costs_the_others_nothing_and_has_the_newest_value_in_the_end() {
    at_home(|network| {
        let Some(mut house) = House::new(&network, Desk::new(), &Wishes::default()) else { return };
        // It gets a little done between long pauses.
        for round in 0..20_u16 {
            broker(&house, Signal::STOP);
            house.sends(1 + round * 100..101 + round * 100);
            house.prints(1..101 + round * 100);
            broker(&house, Signal::CONT);
            thread::sleep(Duration::from_millis(2));
        }
        house.has_everywhere(1..2_001);
        house.ends();
    });
}
