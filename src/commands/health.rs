//! `energi-gateway health`: health of the running gateway.

use crate::gateway;
use crate::platform::exit::{Exit, Failure};

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The command asks over a socket in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/energi-gateway or \
/run/energi-gateway. A silent network, a missing interface and a server that is away do not count as \
faults: the gateway waits for them.

Exit codes: 0 while no task is stuck, 69 if a task is stuck or no gateway answers."
)]
pub struct Args {}

/// Asks, and prints a line.
///
/// # Errors
/// A task is stuck, or no gateway answers.
pub fn run(_: &Args) -> Result<(), Failure> {
    let answer = gateway::ask().map_err(|error| {
        let text = format!("no gateway answers ({error}); it may run as another user: try sudo");
        Failure::message(Exit::Unavailable, text)
    })?;
    if !answer.stuck.is_empty() {
        let text = format!("stuck: {}", answer.stuck.join(", "));
        return Err(Failure::message(Exit::Unavailable, text));
    }
    let state = match (answer.interface_away, answer.ready) {
        (true, _) => "waiting for the interface",
        (false, false) => "starting, or a sink is not open yet",
        (false, true) => "ready",
    };
    let (devices, readings) = (answer.devices, answer.readings);
    let line = format!("healthy: {state}; {devices} devices, {readings} readings\n");
    super::print(line.as_bytes())
}
