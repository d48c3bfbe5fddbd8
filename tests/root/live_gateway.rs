//! The gateway on a real network: real frames over a cable, read from its standard output.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use support::gateway::Sandbox;
use support::network::{Namespace, Network, Sender, device_frame, ethernet};
use support::process::Running;

const PATIENCE: Duration = Duration::from_secs(20);
const SERIAL: u32 = 17_589_669;

/// A 0x22 frame with `number` spread over its grid and generation power.
fn numbered(number: u32) -> Vec<u8> {
    let mut frame = device_frame(0);
    let (thousands, rest) = (number / 10_000, number % 10_000);
    let mut put = |offset: usize, bytes: &[u8]| {
        frame[14 + offset..14 + offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0x1E, &u16::try_from(thousands).unwrap().to_le_bytes());
    put(0x22, &u16::try_from(rest).unwrap().to_le_bytes());
    put(0x2E, &SERIAL.to_le_bytes());
    frame
}

/// The number in the line that a frame of [`numbered`] becomes.
fn number_in(line: &str) -> u32 {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["serial"], SERIAL);
    let field = |key: &str| u32::try_from(line["fields"][key].as_u64().unwrap()).unwrap();
    field("grid_pwr") * 10_000 + field("gen_pwr")
}

/// A gateway at home, its standard output read as it comes.
struct Live {
    process: Running,
    lines: Receiver<String>,
}

impl Live {
    fn start(sandbox: &Sandbox, home: &Namespace, sinks: &str) -> Self {
        sandbox.write(
            "config.yaml",
            format!("capture: {{type: live, interface: eth0}}\nsinks:\n{sinks}"),
        );
        let program = sandbox.program(&["run"]);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", home.name()]).arg(program.get_program());
        command.args(program.get_args()).current_dir(sandbox.path(""));
        command.env("NO_COLOR", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running(command.spawn().unwrap());
        let output = BufReader::new(process.0.stdout.take().unwrap());
        // Bounded: when the test stops taking lines, the pipe stays open and fills.
        let (send, lines) = mpsc::sync_channel(1024);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines }
    }

    /// Sends until a reading comes: the gateway listens.
    fn hears(&self, sender: &mut Sender) {
        for _ in 0..400 {
            sender.send(&numbered(0));
            if self.lines.recv_timeout(Duration::from_millis(50)).is_ok() {
                return;
            }
        }
        panic!("the gateway does not hear");
    }

    /// Stops it as systemd does, and gives what it said.
    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.process.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut said = String::new();
        self.process.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.process.0.wait().unwrap().success(), "{said}");
        said
    }
}

#[test]
fn twenty_thousand_frames_a_second_are_all_printed() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let gateway = Live::start(&sandbox, &network.home, "  - {type: stdout}\n");
    let mut sender = network.world.sender("eth0");
    gateway.hears(&mut sender);

    let other = [&ethernet([0xff; 6], &[0x08, 0x00])[..], &[0x45; 100]].concat();
    let sending = thread::spawn(move || {
        sender.each_millisecond(10_000, |sender, step| {
            for number in 0..20 {
                sender.send(&numbered(1 + step * 20 + number));
                sender.send(&other);
            }
        })
    });
    let mut expected = 1;
    while expected <= 200_000 {
        let number = number_in(&gateway.lines.recv_timeout(PATIENCE).unwrap());
        // Frames that were sent before the gateway listened may still come.
        if number > 0 {
            assert_eq!(number, expected, "every frame, in order");
            expected += 1;
        }
    }
    assert!(sending.join().unwrap() < Duration::from_secs(12), "the rate was kept");
    let said = gateway.stop();
    assert!(!said.contains("dropped by the kernel") && !said.contains("lagged"), "{said}");
    assert!(!said.contains("other ethertypes"), "the kernel filtered: {said}");
}

#[test]
fn a_reader_that_hangs_costs_the_history_nothing() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let sinks = "  - {type: stdout}\n  - {type: sqlite, path: energi.db, flush_interval: 200ms}\n";
    let gateway = Live::start(&sandbox, &network.home, sinks);
    let mut sender = network.world.sender("eth0");
    gateway.hears(&mut sender);
    // From here on nobody reads: the pipe fills, then the sink's place in the channel.
    sender.each_millisecond(2_000, |sender, step| {
        (1..=20).for_each(|number| sender.send(&numbered(step * 20 + number)));
    });
    let db = sandbox.path("energi.db");
    let stored = || {
        let db = rusqlite::Connection::open(&db).unwrap();
        let query = "SELECT count(*) FROM sample WHERE key = 'gen_pwr' AND value > 0";
        db.query_row(query, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let expected = (1..=40_000).filter(|number| number % 10_000 > 0).count();
    for _ in 0..200 {
        if stored() as usize >= expected {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(stored() as usize, expected);
    assert!(gateway.lines.recv().is_ok(), "its reader was there all the time");
}
