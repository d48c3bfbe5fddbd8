//! A process that is held still, as by a debugger, a frozen container or a machine that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::house::{House, Wishes, at_home};
use support::gateway::Desk;

/// With a broker that soon notices.
const QUICK: Wishes<'static> =
    Wishes { mqtt: ", keep_alive: 5s", influxdb: "", files: "", command: None };

/// That long nothing of the gateway moves.
const STILL: Duration = Duration::from_mins(1);

#[test]
fn a_gateway_that_was_held_still_for_a_minute_has_every_frame_of_it_in_every_sink() {
    at_home(|network| {
        let Some(mut house) = House::new(&network, Desk::new(), &QUICK) else { return };
        house.sends(1..20);
        house.has_everywhere(1..20);
        house.signal(Signal::STOP);
        let begun = Instant::now();
        house.sends(20..140);
        // Of which the broker must think that it has gone.
        house.listener.wait_for("myenergi/bridge/state", "offline");
        thread::sleep(STILL.saturating_sub(begun.elapsed()));
        assert_eq!((house.printed(), house.stored().len(), house.points().len()), (19, 19, 19));
        house.signal(Signal::CONT);
        house.has_everywhere(1..140);
        house.listener.wait_for("myenergi/bridge/state", "online");
        house.sends(140..150);
        house.has_everywhere(1..150);
        let said = house.ends();
        assert!(!said.contains("dropped by the kernel") && !said.contains("lagged"), "{said}");
    });
}
