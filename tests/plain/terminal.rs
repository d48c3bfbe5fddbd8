//! What commands ask, and refuse, where a person sits at a terminal.

#![cfg(feature = "sqlite")]

use std::fs;
use std::process::ExitStatus;

use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::Running;
use support::terminal::Terminal;

/// Runs the program on a terminal of 50 columns at which somebody types, until it ends.
fn at_a_terminal(sandbox: &Sandbox, arguments: &[&str], typed: &str) -> (ExitStatus, String) {
    let mut terminal = Terminal::of_width(50);
    let mut program = sandbox.program(arguments);
    program.stdin(terminal.output()).stdout(terminal.output()).stderr(terminal.output());
    let mut running = Running(program.spawn().unwrap());
    // Its handles of the terminal would keep that open.
    drop(program);
    terminal.types(typed);
    let status = running.0.wait().unwrap();
    (status, terminal.text())
}

#[test]
fn init_writes_what_was_answered() {
    let sandbox = Sandbox::new();
    let arguments = ["init", "--for", "0", "--interface", "eth9", "--name", "17589669=Tank"];
    let (status, seen) = at_a_terminal(&sandbox, &arguments, "Shed\n\nhours.db\n");
    assert!(status.success(), "{seen}");
    let written = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    for part in ["site: Shed", "interface: eth9", "17589669, name: \"Tank\"", "path: hours.db"] {
        assert!(written.contains(part), "no {part} in:\n{written}\n{seen}");
    }
    assert!(!written.contains("mqtt:"), "an empty answer means no broker: {written}");
}

#[test]
fn init_asks_nothing_if_it_cannot_write() {
    let sandbox = Sandbox::new();
    let arguments = ["init", "--for", "0", "--interface", "eth9", "-o", "missing/config.yaml"];
    let (status, seen) = at_a_terminal(&sandbox, &arguments, "Shed\n\nhours.db\n");
    assert_eq!(status.code(), Some(74), "{seen}");
    assert!(seen.contains("missing/config.yaml") && !seen.contains("label"), "{seen}");
}

#[test]
#[cfg(feature = "mqtt")]
fn init_asks_no_password_that_it_cannot_write() {
    let sandbox = Sandbox::new();
    sandbox.write("config.mqtt.password", "mine");
    let arguments = ["init", "--for", "0", "--interface", "eth9", "--site", "home"];
    let (status, seen) = at_a_terminal(&sandbox, &arguments, "mqtt://b\nme\nx\nnone\n");
    assert_eq!(status.code(), Some(74), "{seen}");
    assert!(seen.contains("config.mqtt.password") && !seen.contains("Password"), "{seen}");
}

#[test]
fn what_cannot_be_undone_is_asked_first() {
    let sandbox = Sandbox::new();
    let capture = example_day();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"{}\"}}\nsinks: [type: sqlite]\n",
            capture.display()
        ),
    );
    let run = sandbox.run(&["run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    let is_kept = || stdout(&sandbox.run(&["report", "--format", "csv"])).lines().count() > 1;
    let forget = ["history", "forget", "--serial", "17589669"];
    let (_, seen) = at_a_terminal(&sandbox, &forget, "n\n");
    assert!(seen.contains("[y/N]") && is_kept(), "{seen}");
    let (status, seen) = at_a_terminal(&sandbox, &forget, "y\n");
    assert!(status.success() && !is_kept(), "{seen}");
}

#[test]
fn a_chart_does_not_go_to_a_terminal() {
    let sandbox = Sandbox::new();
    let (status, seen) = at_a_terminal(&sandbox, &["report", "--format", "svg"], "");
    assert_eq!(status.code(), Some(64), "{seen}");
    assert!(seen.contains("--output"), "{seen}");
}
