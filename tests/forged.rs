//! A hostile network: frames of a million devices that do not exist, through the whole program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/network.rs"]
mod network;
#[path = "support/process.rs"]
mod process;
#[path = "support/skip.rs"]
mod skip;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use gateway::Desk;
use network::ethernet;
use process::Running;

/// The device that is listed.
const OURS: u32 = 17_589_669;

/// As many records as fit into a frame.
const RECORDS: u32 = 40;

/// A frame with a plausible 0x22 record of each of these devices, as a pcap file holds it.
fn captured(serials: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut frame = ethernet([0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0], &[0x88, 0xb5]);
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

/// The program, its input written and its readings read by the test.
struct Gateway {
    process: Running,
    input: BufWriter<ChildStdin>,
    readings: BufReader<ChildStdout>,
    devices: BTreeSet<u32>,
}

impl Gateway {
    /// Sends frames of devices that do not exist, then one of the device that does, and waits until
    /// that is heard.
    fn hears_after(&mut self, forged: std::ops::Range<u32>) {
        for first in forged.step_by(RECORDS as usize) {
            self.input.write_all(&captured(first..first + RECORDS)).unwrap();
        }
        self.input.write_all(&captured(std::iter::once(OURS))).unwrap();
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

    /// The memory that it has taken at most, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn a_million_made_up_devices_cost_no_memory_and_few_rows_and_a_listed_one_is_heard_all_the_same() {
    let desk = Desk::new();
    desk.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"-\"}}\ndevices: {{max: 32, list: [{{serial: {OURS}}}]}}\n\
             sinks:\n  - {{type: stdout}}\n  - {{type: sqlite, path: energi.db}}\n"
        ),
    );
    let mut program = desk.program(&["run"]);
    let mut process = Running(program.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut input = BufWriter::new(process.0.stdin.take().unwrap());
    input.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    input.write_all(&[0xff, 0xff, 0, 0, 1, 0, 0, 0]).unwrap();
    let readings = BufReader::new(process.0.stdout.take().unwrap());
    let mut gateway = Gateway { process, input, readings, devices: BTreeSet::new() };

    gateway.hears_after(1..50_001);
    let at_first = gateway.memory();
    gateway.hears_after(50_001..1_000_001);
    let grown = gateway.memory() - at_first;
    assert!(grown < 1024, "{grown} KiB more than the {at_first} KiB after the first devices");
    assert_eq!(gateway.devices.len(), 33, "32 that are not listed, and the one that is");

    let Gateway { mut process, input, .. } = gateway;
    drop(input);
    assert!(process.0.wait().unwrap().success());
    let db = rusqlite::Connection::open(desk.path("energi.db")).unwrap();
    let count = "SELECT count(DISTINCT serial) FROM sample";
    assert_eq!(db.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap(), 33);
}
