//! A gateway with every sink on a network of its own, with a broker and a server beside it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::frames::{SERIAL, numbered};
use support::fake_server::{FakeServer, Mood};
use support::gateway::Sandbox;
use support::mosquitto::{Listener, Mosquitto, until};
use support::network::{Network, Sender};
use support::process::Running;

/// Runs a test where its gateway lives: what it starts is in a network namespace of its own.
pub(crate) fn at_home(test: impl FnOnce(Arc<Network>) + Send + 'static) {
    let Some(network) = Network::new() else { return };
    network.home.ip("link set lo up");
    let network = Arc::new(network);
    let own = Arc::clone(&network);
    if let Err(panic) = network.home.spawn(move || test(own)).join() {
        resume_unwind(panic);
    }
}

/// Wishes of a test that differ from the usual.
#[derive(Default)]
pub(crate) struct Wishes<'a> {
    /// More of the `mqtt` sink, each with a comma before it; so the others.
    pub(crate) mqtt: &'a str,
    pub(crate) influxdb: &'a str,
    /// Folder of the sinks' files, with a slash at its end.
    pub(crate) files: &'a str,
    /// Changes to the command that starts the gateway.
    pub(crate) command: Option<&'a dyn Fn(&mut Command)>,
}

pub(crate) struct TestGateway {
    pub(crate) network: Arc<Network>,
    pub(crate) sandbox: Sandbox,
    pub(crate) broker: Mosquitto,
    pub(crate) listener: Listener,
    pub(crate) server: FakeServer,
    pub(crate) process: Running,
    sender: Sender,
    printed: Arc<Mutex<Vec<u16>>>,
    files: String,
}

impl TestGateway {
    /// Starts everything and waits until it hears. None: the test has been skipped.
    pub(crate) fn new(
        network: &Arc<Network>,
        sandbox: Sandbox,
        wishes: &Wishes<'_>,
    ) -> Option<Self> {
        let broker = Mosquitto::start()?;
        let (listener, server) = (broker.listen(), FakeServer::start(Mood::Takes(204)));
        let Wishes { mqtt, influxdb, files, command } = wishes;
        sandbox.write(
            "config.yaml",
            format!(
                "timezone: UTC\nshutdown_timeout: 30s\n\
                 capture: {{type: live, interface: eth0}}\nsinks:\n  - {{type: stdout}}\n  \
                 - {{type: sqlite, path: {files}energi.db, flush_interval: 100ms}}\n  \
                 - {{type: mqtt, url: \"{}\", interval: 0, discovery: false{mqtt}}}\n  \
                 - {{type: influxdb, url: \"{}\", org: home, bucket: energy, timeout: 1s, \
                    flush_interval: 200ms, queue: {{path: {files}queue.db}}{influxdb}}}\n",
                broker.url(),
                server.url()
            ),
        );
        let mut program = sandbox.program(&["run"]);
        program.stderr(File::create(sandbox.path("log")).unwrap());
        if let Some(command) = command {
            command(&mut program);
        }
        let mut process = Running(program.spawn().unwrap());
        let printed = Arc::new(Mutex::new(Vec::new()));
        if let Some(output) = process.0.stdout.take() {
            let own = Arc::clone(&printed);
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    own.lock().unwrap().extend(number_in(&line));
                }
            });
        }
        let sender = network.world.sender("eth0");
        let (network, files) = (Arc::clone(network), files.to_string());
        let gateway =
            Self { network, sandbox, broker, listener, server, process, sender, printed, files };
        gateway.says("listening");
        gateway.listener.wait_for("myenergi/bridge/state", "online");
        Some(gateway)
    }

    /// Sends a frame of each number.
    pub(crate) fn sends(&mut self, numbers: Range<u16>) {
        for number in numbers {
            self.send(&numbered(number));
        }
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.sender.send(frame);
    }

    /// Sends by the cable that is there now.
    pub(crate) fn sends_again(&mut self) {
        self.sender = self.network.world.sender("eth0");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.sandbox.path("log")).unwrap()
    }

    /// Waits until its log has these words.
    pub(crate) fn says(&self, words: &str) {
        self.waits(words, || self.log().contains(words));
    }

    /// Waits until its log has these words of a sink.
    pub(crate) fn says_of(&self, sink: &str, words: &str) {
        let sink = format!("sink=\"{sink}\"");
        self.waits(words, || {
            self.log().lines().any(|line| line.contains(words) && line.contains(&sink))
        });
    }

    /// Waits until something is so, and shows the log if it does not come.
    pub(crate) fn waits(&self, what: &str, is_so: impl Fn() -> bool) {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| until(what, is_so)));
        if let Err(panic) = told {
            eprintln!("{}", self.log());
            resume_unwind(panic);
        }
    }

    /// Waits until standard output has the numbers, and each once and in order.
    pub(crate) fn prints(&self, numbers: Range<u16>) {
        self.waits("they are printed", || self.printed.lock().unwrap().len() >= numbers.len());
        assert_eq!(*self.printed.lock().unwrap(), numbers.collect::<Vec<_>>(), "printed");
    }

    pub(crate) fn printed(&self) -> usize {
        self.printed.lock().unwrap().len()
    }

    pub(crate) fn history(&self) -> Connection {
        Connection::open(self.sandbox.path(&format!("{}energi.db", self.files))).unwrap()
    }

    /// The numbers in the history, in their order.
    pub(crate) fn stored(&self) -> Vec<u16> {
        let history = self.history();
        // The file may be there before its tables are.
        let Ok(mut query) =
            history.prepare("SELECT value FROM sample WHERE key = 'gen_pwr' ORDER BY time")
        else {
            return Vec::new();
        };
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Waits until the history has the numbers, and each once and in order.
    pub(crate) fn stores(&self, numbers: Range<u16>) {
        self.waits("they are stored", || self.stored().len() >= numbers.len());
        assert_eq!(self.stored(), numbers.collect::<Vec<_>>(), "stored");
    }

    /// The numbers that the InfluxDB server has.
    pub(crate) fn points(&self) -> BTreeSet<u16> {
        let number = |line: &String| {
            let (_, rest) = line.split_once("gen_pwr=")?;
            rest.split([',', ' ']).next().unwrap().parse().ok()
        };
        self.server.taken().iter().filter_map(number).collect()
    }

    /// Waits until the InfluxDB server has the numbers.
    pub(crate) fn delivers(&self, numbers: Range<u16>) {
        self.waits("the points are there", || self.points().len() >= numbers.len());
        assert_eq!(self.points(), numbers.collect(), "points");
    }

    /// Waits until a subscriber has this value of the generation last.
    pub(crate) fn publishes(&self, number: u16) {
        let topic = format!("myenergi/{SERIAL}/gen_pwr");
        self.waits("it is published", || {
            self.listener.of(&topic).last() == Some(&number.to_string())
        });
    }

    /// Waits until the numbers are wherever they belong.
    pub(crate) fn has_everywhere(&self, numbers: Range<u16>) {
        self.prints(numbers.clone());
        self.stores(numbers.clone());
        self.delivers(numbers.clone());
        self.publishes(numbers.end - 1);
    }

    /// Stops it as a service manager does, and gives what it said.
    pub(crate) fn ends(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.process.0.wait().unwrap();
        assert!(status.success(), "{}", self.log());
        self.log()
    }
}

/// The number in a line of standard output, if its packet has one.
pub(crate) fn number_in(line: &str) -> Option<u16> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["fields"]["gen_pwr"].as_u64()?.try_into().ok()
}
