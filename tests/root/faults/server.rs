//! An InfluxDB server that is slow, hangs or crashes.

use std::time::Duration;

use super::house::{House, Wishes, at_home};
use support::gateway::Desk;
use support::influx_player::{Mood, Player};

/// Lets the server do something else while frames come, and holds that nobody else minds.
fn through(mood: Mood) {
    at_home(move |network| {
        let Some(mut house) = House::new(&network, Desk::new(), &Wishes::default()) else { return };
        house.sends(1..10);
        house.has_everywhere(1..10);
        house.player.mood(mood);
        house.sends(10..60);
        house.prints(1..60);
        house.stores(1..60);
        house.publishes(59);
        house.player.mood(Mood::Takes(204));
        house.sends(60..70);
        house.has_everywhere(1..70);
        house.ends();
    });
}

#[test]
fn a_server_that_hangs_costs_the_others_nothing_and_has_every_point_in_the_end() {
    through(Mood::Hangs);
}

#[test]
fn a_server_that_is_slow_costs_the_others_nothing_and_has_every_point_in_the_end() {
    through(Mood::Slow(Duration::from_millis(800)));
}

#[test]
fn a_server_that_crashes_costs_the_others_nothing_and_has_every_point_in_the_end() {
    at_home(|network| {
        let Some(mut house) = House::new(&network, Desk::new(), &Wishes::default()) else { return };
        house.sends(1..10);
        house.has_everywhere(1..10);
        let before = house.points();
        let port = house.player.url().rsplit(':').next().unwrap().parse().unwrap();
        house.player.ends();
        house.sends(10..60);
        house.prints(1..60);
        house.stores(1..60);
        house.publishes(59);
        house.says("cannot be reached");
        house.player = Player::start_on(port, Mood::Takes(204));
        house.sends(60..70);
        house.waits("the points are there", || before.len() + house.points().len() >= 69);
        assert!(before.union(&house.points()).copied().eq(1..70));
        house.ends();
    });
}
