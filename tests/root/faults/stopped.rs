//! A process that is held still, as by a debugger, a frozen container or a machine that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::test_gateway::{TestGateway, Wishes, at_home};
use support::gateway::Sandbox;

/// Wishes with a broker that soon notices.
const QUICK: Wishes<'static> =
    Wishes { mqtt: ", keep_alive: 5s", influxdb: "", files: "", command: None };

/// Time for which nothing of the gateway moves.
const STILL: Duration = Duration::from_mins(1);

#[test]
fn a_minute_of_sigstop_costs_no_frame() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &QUICK) else { return };
        gateway.sends(1..20);
        gateway.has_everywhere(1..20);
        gateway.signal(Signal::STOP);
        let begun = Instant::now();
        gateway.sends(20..140);
        // Of which the broker must think that it has gone.
        gateway.listener.wait_for("myenergi/bridge/state", "offline");
        thread::sleep(STILL.saturating_sub(begun.elapsed()));
        assert_eq!(
            (gateway.printed(), gateway.stored().len(), gateway.points().len()),
            (19, 19, 19)
        );
        gateway.signal(Signal::CONT);
        gateway.has_everywhere(1..140);
        gateway.listener.wait_for("myenergi/bridge/state", "online");
        gateway.sends(140..150);
        gateway.has_everywhere(1..150);
        let said = gateway.ends();
        assert!(!said.contains("dropped by the kernel") && !said.contains("lagged"), "{said}");
    });
}
