//! `watch` on a terminal and elsewhere.

use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::process::Running;
use support::terminal::Terminal;

fn watch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_energi-gateway"))
        .arg("watch")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

#[test]
fn a_device_is_a_line_every_interval_of_capture_time() {
    let day = "examples/captures/eddi-day.pcapng.gz";
    let output = watch(&[day, "--speed", "max", "--interval", "6h"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let eddi: Vec<_> = text.lines().filter(|line| line.contains("17589669")).collect();
    assert_eq!(eddi.len(), 4, "{text}");
    assert!(eddi.iter().all(|line| line.contains(" kWh") && line.contains(" W")), "{text}");
}

#[test]
fn energy_has_the_time_from_which_it_counts() {
    let day = "examples/captures/eddi-day.pcapng.gz";
    let output = watch(&[day, "--speed", "max", "--interval", "30m"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut eddi = text.lines().filter(|line| line.contains("17589669"));
    let (first, last) = (eddi.next().unwrap(), eddi.next_back().unwrap());
    assert!(first.contains(" kWh since 23:00"), "the start of the capture: {first}");
    assert!(last.contains(" kWh since 00:00"), "midnight: {last}");
}

#[test]
fn a_capture_that_does_not_exist_is_named() {
    let output = watch(&["no-such.pcapng"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such.pcapng"));
}

#[test]
fn the_view_ends_although_its_terminal_is_gone() {
    const PATIENCE: Duration = Duration::from_mins(1);
    let mut terminal = Terminal::new();
    let view = Command::new(env!("CARGO_BIN_EXE_energi-gateway"))
        .args(["watch", "--simulator"])
        .stdin(terminal.output())
        .stdout(terminal.output())
        .stderr(Stdio::null())
        .spawn();
    let mut view = Running(view.unwrap());
    terminal.watch().expect("the view takes the screen over");
    drop(terminal);
    kill_process(Pid::from_child(&view.0), Signal::TERM).unwrap();
    let begun = Instant::now();
    while view.0.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "it reads a terminal that is gone");
        sleep(Duration::from_millis(20));
    }
}
