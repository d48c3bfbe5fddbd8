//! A hostile network: frames of a million devices that do not exist, through the whole program.

#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::fake_server::{FakeServer, Mood};
use support::gateway::Sandbox;
use support::mosquitto::{Listener, Mosquitto, until};
use support::network::ethernet;
use support::process::Running;

/// The device that is listed.
const OURS: u32 = 17_589_669;

/// Most records that fit into a frame.
const RECORDS: u32 = 40;

/// Address of our device.
const ITS_ADDRESS: [u8; 6] = [0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5];

/// A frame with a plausible 0x22 record of each of these devices, as a pcap file holds it.
fn captured(from: [u8; 6], serials: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut frame = ethernet([0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0], &[0x88, 0xb5]);
    frame[6..12].copy_from_slice(&from);
    frame.extend([0xcb, 0xda, 0xe9, 0xf8]);
    frame.extend([0; 16]);
    frame.extend([1, 0, 0, 0]);
    for serial in serials {
        frame.extend([0x22, 0x53, 0x10, 0x35, 0, 0xff, 0x2c, 0x01]);
        frame.extend([0; 14]);
        frame.extend(serial.to_le_bytes());
        frame.extend([0; 8]);
    }
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let seconds = 1_781_000_000_u32.to_le_bytes();
    [&seconds[..], &[0; 4], &length, &length, &frame].concat()
}

/// The program with every sink, its input written and its readings read by the test.
struct Gateway {
    sandbox: Sandbox,
    process: Running,
    input: BufWriter<ChildStdin>,
    readings: BufReader<ChildStdout>,
    devices: BTreeSet<u32>,
    _broker: Mosquitto,
    listener: Listener,
    fake: FakeServer,
}

impl Gateway {
    /// Starts it with these `devices`. None: the test has been skipped.
    fn start(devices: &str) -> Option<Self> {
        let broker = Mosquitto::start()?;
        let (sandbox, listener) = (Sandbox::new(), broker.listen());
        let fake = FakeServer::start(Mood::Takes(204));
        sandbox.write(
            "config.yaml",
            format!(
                "capture: {{type: replay, path: \"-\"}}\ndevices: {devices}\nsinks:\n  \
                 - {{type: stdout}}\n  \
                 - {{type: sqlite, path: energi.db, flush_interval: 100ms}}\n  \
                 - {{type: mqtt, url: \"{}\", interval: 0}}\n  \
                 - {{type: influxdb, url: \"{}\", org: o, bucket: b, flush_interval: 200ms}}\n",
                broker.url(),
                fake.url()
            ),
        );
        let mut program = sandbox.program(&["run"]);
        program.stdin(Stdio::piped()).stderr(File::create(sandbox.path("log")).unwrap());
        let mut process = Running(program.spawn().unwrap());
        let mut input = BufWriter::new(process.0.stdin.take().unwrap());
        input.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        input.write_all(&[0xff, 0xff, 0, 0, 1, 0, 0, 0]).unwrap();
        let readings = BufReader::new(process.0.stdout.take().unwrap());
        let devices = BTreeSet::new();
        Some(Self { sandbox, process, input, readings, devices, _broker: broker, listener, fake })
    }

    fn sends(&mut self, from: [u8; 6], serials: impl Iterator<Item = u32>) {
        self.input.write_all(&captured(from, serials)).unwrap();
    }

    /// Sends frames of devices that do not exist, then one of the device that does, and waits until
    /// that is received.
    fn hears_after(&mut self, forged: std::ops::Range<u32>) {
        for first in forged.step_by(RECORDS as usize) {
            self.sends(ITS_ADDRESS, first..first + RECORDS);
        }
        self.sends(ITS_ADDRESS, std::iter::once(OURS));
        self.input.flush().unwrap();
        loop {
            let mut line = String::new();
            self.readings.read_line(&mut line).unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let serial = u32::try_from(line["serial"].as_u64().unwrap()).unwrap();
            self.devices.insert(serial);
            if serial == OURS {
                return;
            }
        }
    }

    /// The devices of the broker's topics, and those that Home Assistant was told of.
    fn published(&self) -> (BTreeSet<u32>, usize) {
        let heard = self.listener.heard();
        let serial = |topic: &str| topic.strip_prefix("myenergi/")?.split('/').next()?.parse().ok();
        let devices = heard.iter().filter_map(|it| serial(&it.topic)).collect();
        let announced: BTreeSet<_> = heard
            .iter()
            .map(|it| &it.topic)
            .filter(|it| it.starts_with("homeassistant/"))
            .collect();
        (devices, announced.len())
    }

    /// The devices of the points.
    fn sent(&self) -> BTreeSet<u32> {
        let serial =
            |line: &String| line.split_once("serial=")?.1.split([' ', ',']).next()?.parse().ok();
        self.fake.taken().iter().filter_map(serial).collect()
    }

    /// Ends it; the devices of its history, and what it logged.
    fn ends(&mut self) -> (BTreeSet<u32>, String) {
        kill_process(Pid::from_child(&self.process.0), Signal::TERM).unwrap();
        assert!(self.process.0.wait().unwrap().success());
        let db = rusqlite::Connection::open(self.sandbox.path("energi.db")).unwrap();
        let mut query = db.prepare("SELECT DISTINCT serial FROM sample").unwrap();
        let stored = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        (stored, fs::read_to_string(self.sandbox.path("log")).unwrap())
    }

    /// The memory that it has taken at most, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn a_million_forged_devices_cost_no_memory() {
    let devices = format!("{{max: 32, list: [{{serial: {OURS}}}]}}");
    let Some(mut gateway) = Gateway::start(&devices) else { return };
    gateway.hears_after(1..50_001);
    until("every sink has been at work", || {
        gateway.published() == (gateway.devices.clone(), 33) && gateway.sent() == gateway.devices
    });
    let at_first = gateway.memory();
    gateway.hears_after(50_001..1_000_001);
    // The kernel counts roughly: the most may be a little less than before.
    let grown = gateway.memory().saturating_sub(at_first);
    assert!(grown < 1024, "{grown} KiB more than the {at_first} KiB after the first devices");
    assert_eq!(gateway.devices.len(), 33, "32 that are not listed, and the one that is");
    let (stored, log) = gateway.ends();
    assert_eq!(stored, gateway.devices, "in the history");
    assert_eq!(gateway.sent(), gateway.devices, "on the InfluxDB server");
    assert_eq!(gateway.published(), (gateway.devices.clone(), 33), "at the broker");
    assert!(log.lines().count() < 60, "{log}");
}

#[test]
fn with_only_listed_no_forged_device_is_heard() {
    let mac = "70:b3:d5:0c:65:a5";
    let devices = format!("{{only_listed: true, list: [{{serial: {OURS}, mac: \"{mac}\"}}]}}");
    let Some(mut gateway) = Gateway::start(&devices) else { return };
    let forger = [0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa6];
    for _ in 0..1_000 {
        gateway.sends(forger, std::iter::once(OURS));
    }
    gateway.hears_after(1..10_001);
    gateway.sends(forger, std::iter::once(OURS));
    gateway.hears_after(1..1);
    let ours = BTreeSet::from([OURS]);
    until("every sink has it", || {
        gateway.published() == (ours.clone(), 1) && gateway.sent() == ours
    });
    let (stored, log) = gateway.ends();
    assert_eq!(stored, ours);
    assert_eq!((gateway.devices.clone(), gateway.sent()), (ours.clone(), ours));
    assert!(log.contains(" INFO 2 readings;"), "{log}");
    for refused in ["1001", "10000"] {
        assert!(log.contains(refused), "{refused}: {log}");
    }
    assert_eq!(log.matches("WARN").count(), 2, "each reason once: {log}");
}
