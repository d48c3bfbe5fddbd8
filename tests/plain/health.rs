//! `health` knows a gateway that does well from none.

use std::io::{BufRead, BufReader};

use support::gateway::{Sandbox, stderr, stdout};
use support::process::Running;

#[test]
fn only_a_running_gateway_is_healthy() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "capture: {type: simulator}\nsinks: [{type: stdout}, {type: sqlite}]\n",
    );
    let program = |arguments: &[&str]| {
        let mut program = sandbox.program(arguments);
        program.env("RUNTIME_DIRECTORY", sandbox.path(""));
        program
    };
    let ask = || program(&["health"]).output().unwrap();
    let mut gateway = Running(program(&["run"]).spawn().unwrap());
    let mut lines = BufReader::new(gateway.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("serial"), "a reading comes");
    let healthy = ask();
    assert!(healthy.status.success(), "{}", stderr(&healthy));
    assert!(stdout(&healthy).contains("healthy"), "{}", stdout(&healthy));
    drop(gateway);
    let dead = ask();
    assert_eq!(dead.status.code(), Some(69), "{}", stdout(&dead));
    assert!(stderr(&dead).contains("no gateway answers"), "{}", stderr(&dead));
}
