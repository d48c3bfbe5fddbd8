//! Privileges of the running program: each of its threads, as the kernel shows it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::CapabilitySet;
use support::gateway::{Sandbox, example_day};
use support::network::{Namespace, Network, Sender, device_frame};
use support::process::{Running, installed};

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of them, those of servers with names to look up, which takes threads too.
const SINKS: &str = "sinks:\n  - {type: stdout}\n  - {type: sqlite, path: energi.db}\n  \
    - {type: mqtt, url: \"mqtt://localhost:9\"}\n  \
    - {type: influxdb, url: \"http://localhost:9\", org: o, bucket: b}\n";

/// The capabilities of a thread: what it may do, and what programs that it starts might.
const SETS: [&str; 4] = ["CapEff", "CapPrm", "CapInh", "CapAmb"];

/// A program whose readings are read as they come.
struct Gateway {
    process: Running,
    readings: Receiver<String>,
}

impl Gateway {
    fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child: Child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, readings) = mpsc::channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { process: Running(child), readings }
    }

    /// Sends until a reading comes that was not sent before.
    fn hears(&self, sender: &mut Sender) {
        while self.readings.try_recv().is_ok() {}
        for _ in 0..PATIENCE.as_millis() / 50 {
            sender.send(&frame());
            if self.readings.recv_timeout(Duration::from_millis(50)).is_ok() {
                return;
            }
        }
        panic!("the gateway does not hear");
    }

    /// The threads by name, each with its privileges.
    fn threads(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let tasks = format!("/proc/{}/task", self.process.0.id());
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(tasks).unwrap() {
            // A thread may have ended since.
            let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else {
                continue;
            };
            let status: BTreeMap<String, String> = status
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect();
            threads.insert(format!("{} {}", status["Name"], status["Pid"]), status);
        }
        threads
    }

    /// The threads, once those are there that the test is about.
    fn threads_once_there(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let start = Instant::now();
        loop {
            let threads = self.threads();
            let is_there = |needed: &str| threads.keys().any(|name| name.starts_with(needed));
            if ["capture ", "sqlite ", "energi-gateway "].into_iter().all(is_there) {
                return threads;
            }
            assert!(start.elapsed() < PATIENCE, "{:?}", threads.keys());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every thread may do nothing, but for the capture's, which has `capture` and hands on nothing.
    fn has_given_up_all_but(&self, capture: CapabilitySet) {
        let threads = self.threads_once_there();
        for (name, status) in &threads {
            assert_eq!(status["NoNewPrivs"], "1", "{name}");
            for set in SETS {
                let has = u64::from_str_radix(&status[set], 16).unwrap();
                let keeps = name.starts_with("capture ") && matches!(set, "CapEff" | "CapPrm");
                let may = if keeps { capture } else { CapabilitySet::empty() };
                assert_eq!(has, may.bits(), "{name}: {set}");
            }
        }
    }
}

/// A plausible frame of an eddi.
fn frame() -> Vec<u8> {
    let mut frame = device_frame(0);
    frame[14 + 0x2E..][..4].copy_from_slice(&17_589_669_u32.to_le_bytes());
    frame
}

/// The program, started in a network namespace by `launcher` (a command and its arguments).
fn live(sandbox: &Sandbox, home: &Namespace, launcher: &[&str]) -> Gateway {
    sandbox.write("config.yaml", format!("capture: {{type: live, interface: eth0}}\n{SINKS}"));
    let program = sandbox.program(&["run"]);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", home.name()]).args(launcher);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(sandbox.path("")).env("NO_COLOR", "1");
    Gateway::start(command)
}

/// Listens, checks, loses its interface, listens on the new one, checks.
fn holds_over_a_lost_interface(network: &Network, gateway: &Gateway) {
    gateway.hears(&mut network.world.sender("eth0"));
    gateway.has_given_up_all_but(CapabilitySet::NET_RAW);
    network.home.ip("link del eth0");
    network.plug_in();
    gateway.hears(&mut network.world.sender("eth0"));
    gateway.has_given_up_all_but(CapabilitySet::NET_RAW);
}

#[test]
fn started_as_root_only_the_capture_may_listen() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let gateway = live(&sandbox, &network.home, &[]);
    holds_over_a_lost_interface(&network, &gateway);
}

/// Starts the program as systemd does: no power from being root, the one capability as an ambient
/// one.
#[test]
fn started_with_one_right_only_the_capture_keeps_it() {
    let Some(network) = Network::new() else { return };
    if installed("setpriv").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let launcher = [
        "setpriv",
        "--securebits=+noroot,+noroot_locked",
        "--bounding-set=-all,+net_raw",
        "--inh-caps=-all,+net_raw",
        "--ambient-caps=-all,+net_raw",
        "--",
    ];
    let gateway = live(&sandbox, &network.home, &launcher);
    holds_over_a_lost_interface(&network, &gateway);
}

#[test]
fn a_replay_takes_no_privilege() {
    let replay = format!("{{type: replay, path: \"{}\", speed: 1}}", example_day().display());
    for capture in [&replay[..], "{type: simulator, seed: 7, speed: 1}"] {
        let sandbox = Sandbox::new();
        sandbox.write("config.yaml", format!("capture: {capture}\n{SINKS}"));
        let gateway = Gateway::start(sandbox.program(&["run"]));
        gateway.readings.recv_timeout(PATIENCE).unwrap();
        gateway.has_given_up_all_but(CapabilitySet::empty());
    }
}
