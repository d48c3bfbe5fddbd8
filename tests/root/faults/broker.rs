//! A broker that is slow, hangs or crashes.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::test_gateway::{TestGateway, Wishes, at_home};
use support::gateway::Sandbox;

/// A connection that soon finds out, and values that are there for who subscribes late.
const QUICK: Wishes<'static> =
    Wishes { mqtt: ", keep_alive: 1s, retain: true", influxdb: "", files: "", command: None };

fn broker(gateway: &TestGateway, signal: Signal) {
    kill_process(Pid::from_child(&gateway.broker.process().0), signal).unwrap();
}

#[test]
fn a_broker_that_hangs_costs_the_others_nothing() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &QUICK) else { return };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        broker(&gateway, Signal::STOP);
        gateway.sends(10..30);
        gateway.prints(1..30);
        gateway.stores(1..30);
        gateway.delivers(1..30);
        // Once the keep-alive is over.
        gateway.says_of("mqtt", "trying again");
        broker(&gateway, Signal::CONT);
        // The broker has lost it, too, and then has it back.
        gateway.listener.wait("the last will", |heard| {
            heard.iter().any(|it| it.topic == "myenergi/bridge/state" && it.payload == "offline")
        });
        gateway.listener.wait_for("myenergi/bridge/state", "online");
        gateway.publishes(29);
        gateway.sends(30..40);
        gateway.has_everywhere(1..40);
        gateway.ends();
    });
}

#[test]
fn a_broker_that_crashes_costs_the_others_nothing() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &QUICK) else { return };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        gateway.broker.kill();
        gateway.sends(10..30);
        gateway.prints(1..30);
        gateway.stores(1..30);
        gateway.delivers(1..30);
        gateway.broker.run();
        gateway.listener.until_subscribed(2);
        gateway.publishes(29);
        gateway.sends(30..40);
        gateway.has_everywhere(1..40);
        gateway.ends();
    });
}

#[test]
fn a_slow_broker_costs_the_others_nothing() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        // It gets a little done between long pauses.
        for round in 0..20_u16 {
            broker(&gateway, Signal::STOP);
            gateway.sends(1 + round * 100..101 + round * 100);
            gateway.prints(1..101 + round * 100);
            broker(&gateway, Signal::CONT);
            thread::sleep(Duration::from_millis(2));
        }
        gateway.has_everywhere(1..2_001);
        gateway.ends();
    });
}
