//! An InfluxDB server that is slow, hangs or crashes.

use std::time::Duration;

use super::test_gateway::{TestGateway, Wishes, at_home};
use support::fake_server::{FakeServer, Mood};
use support::gateway::Sandbox;

/// Lets the server do something else while frames come, and holds that nobody else minds.
fn through(mood: Mood) {
    at_home(move |network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        gateway.server.mood(mood);
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.stores(1..60);
        gateway.publishes(59);
        gateway.server.mood(Mood::Takes(204));
        gateway.sends(60..70);
        gateway.has_everywhere(1..70);
        gateway.ends();
    });
}

#[test]
fn a_server_that_hangs_has_every_point_in_the_end() {
    through(Mood::Hangs);
}

#[test]
fn a_slow_server_has_every_point_in_the_end() {
    through(Mood::Slow(Duration::from_millis(800)));
}

#[test]
fn a_server_that_crashes_has_every_point_in_the_end() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        let before = gateway.points();
        let port = gateway.server.url().rsplit(':').next().unwrap().parse().unwrap();
        gateway.server.ends();
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.stores(1..60);
        gateway.publishes(59);
        gateway.says("cannot be reached");
        gateway.server = FakeServer::start_on(port, Mood::Takes(204));
        gateway.sends(60..70);
        gateway.waits("the points are there", || before.len() + gateway.points().len() >= 69);
        assert!(before.union(&gateway.points()).copied().eq(1..70));
        gateway.ends();
    });
}
