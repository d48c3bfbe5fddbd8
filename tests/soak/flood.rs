//! A hostile network: junk that looks like frames, as fast as a cable brings it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::gateway::Sandbox;
use support::network::{Network, Sender, device_frame};
use support::process::Running;

const PATIENCE: Duration = Duration::from_secs(20);

/// The device that was there before the junk, and the listed one that comes amid it.
const BEFORE: u32 = 17_589_669;
const AMID: u32 = 17_589_670;

/// Different frames of junk, sent over and over.
const KINDS: usize = 4096;

/// Milliseconds of junk, and how much of it in each.
const FLOOD: u32 = 8_000;
const EACH: u32 = 100;

/// A plausible 0x22 frame.
fn powers(serial: u32) -> Vec<u8> {
    let mut frame = device_frame(300);
    frame[14 + 0x2E..14 + 0x32].copy_from_slice(&serial.to_le_bytes());
    frame
}

/// Frames with the right ethertype, group and magic: records of any length with anything in them,
/// whole or not, and plausible records of devices that do not exist.
fn junk() -> Vec<Vec<u8>> {
    let mut state = 7_u64;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let frame = |number| {
        let mut frame = powers(random() | 1 << 30);
        if number % 4 > 0 {
            frame.truncate(14 + 0x18);
            let length = random() % 1400;
            frame
                .extend(std::iter::repeat_with(|| random().to_le_bytes()[0]).take(length as usize));
        }
        frame
    };
    (0..KINDS).map(frame).collect()
}

/// A gateway that hears the network, and what comes out of it.
struct Gateway {
    process: Running,
    serials: Receiver<u32>,
    log: thread::JoinHandle<String>,
}

impl Gateway {
    fn start(sandbox: &Sandbox, network: &Network) -> Self {
        let configuration = format!(
            "capture: {{type: live, interface: eth0}}\ndevices: {{list: [{{serial: {AMID}}}]}}\n\
             sinks:\n  - {{type: stdout}}\n  - {{type: sqlite, path: energi.db, flush_interval: 200ms}}\n"
        );
        sandbox.write("config.yaml", configuration);
        let mut command = network.home.inside(&sandbox.program(&["run"]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running(command.spawn().unwrap());
        let output = BufReader::new(process.0.stdout.take().unwrap());
        let mut errors = process.0.stderr.take().unwrap();
        let (send, serials) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                let serial = u32::try_from(line["serial"].as_u64().unwrap()).unwrap();
                if send.send(serial).is_err() {
                    break;
                }
            }
        });
        let log = thread::spawn(move || {
            let mut log = String::new();
            errors.read_to_string(&mut log).unwrap();
            log
        });
        Self { process, serials, log }
    }

    /// Sends frames of a device until one of them is received.
    fn hears(&self, sender: &mut Sender, serial: u32) {
        // What came before the first one was sent does not count.
        while self.serials.try_recv().is_ok() {}
        let pause = Duration::from_millis(50);
        let tries = PATIENCE.as_millis() / pause.as_millis();
        let heard = (0..tries).any(|_| {
            sender.send(&powers(serial));
            thread::sleep(pause);
            self.serials.try_iter().any(|heard| heard == serial)
        });
        assert!(heard, "{serial} is not heard");
    }

    /// Returns what of it is resident now, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        now.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Stops it as systemd does, and gives what it said.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.process.0), Signal::TERM).unwrap();
        let status = self.process.0.wait().unwrap();
        let log = self.log.join().unwrap();
        assert!(status.success(), "{log}");
        log
    }
}

#[test]
fn a_flood_of_junk_starves_no_device() {
    let _alone = crate::alone();
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let gateway = Gateway::start(&sandbox, &network);
    let mut devices = network.world.sender("eth0");
    gateway.hears(&mut devices, BEFORE);

    let (junk, over) = (junk(), AtomicBool::new(false));
    let (mut at_first, mut amid) = (0, BTreeSet::new());
    thread::scope(|scope| {
        let flood = |milliseconds: u32| {
            let (junk, network) = (&junk, &network);
            scope.spawn(move || {
                network.world.sender("eth0").each_millisecond(milliseconds, |sender, step| {
                    for number in step * EACH..(step + 1) * EACH {
                        sender.send(&junk[number as usize % KINDS]);
                    }
                })
            })
        };
        scope.spawn(|| {
            let mut sender = network.world.sender("eth0");
            while !over.load(Ordering::Relaxed) {
                sender.send(&powers(BEFORE));
                sender.send(&powers(AMID));
                thread::sleep(Duration::from_millis(10));
            }
        });
        flood(FLOOD / 4).join().unwrap();
        at_first = gateway.memory();
        while gateway.serials.try_recv().is_ok() {}
        let took = flood(FLOOD - FLOOD / 4).join().unwrap();
        println!("{} frames of junk in {took:?}", (FLOOD - FLOOD / 4) * EACH);
        // Nothing is waited for: a device that is not received before the end of the junk was starved by it.
        amid.extend(gateway.serials.try_iter());
        over.store(true, Ordering::Relaxed);
    });
    assert!(amid.contains(&BEFORE) && amid.contains(&AMID), "heard amid the junk: {amid:?}");
    let grown = gateway.memory().saturating_sub(at_first);
    println!("{at_first} KiB after a quarter of the flood, {grown} KiB more after it");
    assert!(grown < 2048, "{grown} KiB more than the {at_first} KiB at first");
    for device in [BEFORE, AMID] {
        gateway.hears(&mut devices, device);
    }

    let log = gateway.stop();
    println!("{log}");
    let lines = log.lines().count();
    assert!(lines < 400, "{lines} lines: one for each length, each device, and a few");
    let db = rusqlite::Connection::open(sandbox.path("energi.db")).unwrap();
    let rows = |of: &str| {
        let query = format!("SELECT count(*), count(DISTINCT serial) FROM sample WHERE {of}");
        db.query_row(&query, [], |row| <(u32, u32)>::try_from(row)).unwrap()
    };
    let (made_up, strangers) = rows(&format!("serial NOT IN ({BEFORE}, {AMID})"));
    println!("{made_up} rows of {strangers} devices that do not exist");
    assert!(strangers <= 32, "{strangers} devices that do not exist");
    let size: u64 = fs::read_dir(sandbox.path(""))
        .unwrap()
        .map(|it| it.unwrap().metadata().unwrap().len())
        .sum();
    println!("{size} bytes on the disk");
    assert!(size < 8 << 20, "{size} bytes after {} frames", FLOOD * EACH);
}
