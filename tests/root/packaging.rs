//! The systemd unit: it is valid, it is as closed as it says, and the program can live in it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::gateway::{self, Sandbox};
use support::network::{Network, device_frame};
use support::process::{Running, installed};

const UNIT: &str = include_str!("../../packaging/energi-gateway.service");

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

/// The exposure in tenths that `systemd-analyze security` may find: what is left is the network,
/// which the gateway is for.
const EXPOSURE: &str = "--threshold=20";

/// The unit with the program where this build has put it.
fn unit(sandbox: &Sandbox) -> PathBuf {
    let installed = "/usr/bin/energi-gateway";
    let ours = env!("CARGO_BIN_EXE_energi-gateway");
    assert!(UNIT.contains(&format!("ExecStart={installed} ")));
    sandbox.write("energi-gateway.service", UNIT.replace(installed, ours))
}

#[test]
fn systemd_finds_the_unit_secure() {
    let Some(analyze) = installed("systemd-analyze") else { return };
    let sandbox = Sandbox::new();
    let unit = unit(&sandbox);
    for arguments in [&["verify"][..], &["security", "--offline=yes", "--no-pager", EXPOSURE]] {
        let output = Command::new(&analyze).args(arguments).arg(&unit).output().unwrap();
        let said = gateway::stdout(&output) + &gateway::stderr(&output);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(arguments[0] != "verify" || said.is_empty(), "{said}");
    }
}

/// Returns what the unit says of `key`, all lines of it.
fn settings(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).flat_map(|(_, value)| value.split(' ')).collect()
}

/// The system calls of a set such as `@system-service`, or the one of that name.
fn calls_of(analyze: &PathBuf, name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let list = Command::new(analyze).args(["syscall-filter", "--no-pager", name]).output().unwrap();
    assert!(list.status.success(), "{name}");
    let list = gateway::stdout(&list);
    let members = list.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#'));
    members.filter(|line| !line.is_empty()).flat_map(|line| calls_of(analyze, line)).collect()
}

/// The system calls that the unit's filter lets through: its lines from the top.
fn allowed_calls(analyze: &PathBuf) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    let mut takes_away = false;
    for line in UNIT.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let names = line.strip_prefix('~');
        takes_away = names.is_some();
        for call in names.unwrap_or(line).split(' ').flat_map(|name| calls_of(analyze, name)) {
            if takes_away {
                allowed.remove(&call);
            } else {
                allowed.insert(call);
            }
        }
    }
    assert!(!takes_away, "the last line gives back what the sets before it took");
    allowed
}

#[test]
fn the_unit_allows_every_system_call_in_use() {
    let Some(network) = Network::new() else { return };
    let (Some(analyze), Some(strace)) = (installed("systemd-analyze"), installed("strace")) else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "capture: {type: live, interface: eth0}\nshutdown_timeout: 1s\nsinks:\n  - {type: stdout}\n  \
         - {type: sqlite, path: energi.db, flush_interval: 100ms}\n  \
         - {type: mqtt, url: \"mqtts://localhost:8883\"}\n  \
         - {type: influxdb, url: \"https://localhost:8086\", org: o, bucket: b, token: t}\n",
    );
    let program = sandbox.program(&["run"]);
    let mut traced = Command::new("ip");
    traced.args(["netns", "exec", network.home.name()]);
    traced.arg(strace).args(["-f", "-o", "calls", "--"]);
    traced.arg(program.get_program()).args(program.get_args()).current_dir(sandbox.path(""));
    traced.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut traced = Running(traced.spawn().unwrap());

    let mut sender = network.world.sender("eth0");
    let mut frame = device_frame(0);
    frame[14 + 0x2E..][..4].copy_from_slice(&17_589_669_u32.to_le_bytes());
    let mut reading = String::new();
    let mut output = BufReader::new(traced.0.stdout.take().unwrap());
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| output.read_line(&mut reading).unwrap());
        let start = Instant::now();
        while !heard.is_finished() {
            assert!(start.elapsed() < PATIENCE, "the traced program hears nothing");
            sender.send(&frame);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let strace = traced.0.id();
    let child = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    kill_process(child, Signal::TERM).unwrap();
    assert!(traced.0.wait().unwrap().success());

    let calls = fs::read_to_string(sandbox.path("calls")).unwrap();
    let calls: Vec<_> = calls
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect();
    assert!(calls.len() > 100, "the trace is there");
    // Whether the clock is synchronised: ProtectClock= would forbid to ask, too.
    assert!(calls.iter().any(|(name, _)| name.contains("adjtime")), "the clock is asked");
    assert!(settings("ProtectClock").is_empty());
    let allowed = allowed_calls(&analyze);
    let families = settings("RestrictAddressFamilies");
    for (name, arguments) in calls {
        // SQLite as root gives its files the owner of the database; the unit's user is not root.
        assert!(allowed.contains(name) || name == "fchown", "{name}({arguments}");
        if matches!(name, "socket" | "socketpair") {
            let family = arguments.split(',').next().unwrap();
            assert!(families.contains(&family), "{name}({arguments}");
        }
    }
}
