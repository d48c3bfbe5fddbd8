//! A gateway with every sink, the servers that they write to, and a disk of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::thread::{self, JoinHandle, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::feed::{PACKETS, PCAP, Stage};
use crate::heard::Printed;
use support::disk::Disk;
use support::gate::Gate;
use support::gateway::Sandbox;
use support::mosquitto::{Listener, Mosquitto};
use support::process::Running;
use support::victoria::Victoria;

/// Longest time that anything may take that has to happen, after a fault and on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A file system that is never full by itself.
pub(crate) const ROOM: &str = "size=1g";

pub(crate) struct TestGateway {
    sandbox: Sandbox,
    pub(crate) volume: Disk,
    pub(crate) broker: Mosquitto,
    /// Number of subscriptions of the listener.
    pub(crate) subscribed: u32,
    /// Between the gateway and the broker.
    pub(crate) gate: Gate,
    pub(crate) listener: Listener,
    pub(crate) victoria: Victoria,
    pub(crate) printed: Printed,
    process: Running,
    stdin: Option<ChildStdin>,
    /// Reads what the process prints.
    reader: Option<JoinHandle<()>>,
    /// Number of gateways so far.
    generation: u32,
}

/// Size of a gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    generation: u32,
    /// Resident memory in KiB.
    memory: u64,
    descriptors: usize,
}

impl TestGateway {
    /// Starts everything. None: the test has been skipped.
    pub(crate) fn new() -> Option<Self> {
        let (broker, victoria) = (Mosquitto::start()?, Victoria::start()?);
        let sandbox = Sandbox::new();
        let volume = Disk::mount(sandbox.path("disk"), ROOM)?;
        let (gate, listener) = (Gate::to(broker.port), broker.listen());
        gate.open();
        sandbox.write(
            "config.yaml",
            format!(
                "site: home\ntimezone: Europe/London\nshutdown_timeout: 5m\n\
                 capture: {{type: replay, path: \"-\"}}\nsinks:\n  - {{type: stdout}}\n  \
                 - {{type: sqlite, path: disk/energi.db, flush_interval: 200ms, retention: {{samples: 365d}}}}\n  \
                 - {{type: mqtt, url: \"{}\", interval: 0, qos: 1, keep_alive: 2s}}\n  \
                 - {{type: influxdb, url: \"{}\", org: home, bucket: energy, timeout: 2s, \
                    flush_interval: 1s, queue: {{path: disk/queue.db}}}}\n",
                gate.url(),
                victoria.url()
            ),
        );
        let printed = Printed::default();
        let (process, stdin, reader) = start(&sandbox, &printed, 0);
        let stdin = Some(stdin);
        let subscribed = 1;
        Some(Self {
            sandbox,
            volume,
            broker,
            subscribed,
            gate,
            listener,
            victoria,
            printed,
            process,
            stdin,
            reader: Some(reader),
            generation: 0,
        })
    }

    /// Feeds it the frames of a stage, while `meanwhile` does what it likes to it. Returns whether
    /// it took all of them.
    pub(crate) fn lives_through(
        &mut self,
        stage: &Stage,
        meanwhile: impl FnOnce(&mut Self, &ScopedJoinHandle<'_, Option<ChildStdin>>),
    ) -> bool {
        let mut stdin = self.stdin.take().unwrap();
        self.stdin = thread::scope(|scope| {
            let feeding = scope.spawn(move || stdin.write_all(&stage.bytes).ok().map(|()| stdin));
            meanwhile(self, &feeding);
            feeding.join().unwrap()
        });
        self.stdin.is_some() && self.process.0.try_wait().unwrap().is_none()
    }

    /// Starts a gateway after one that was killed.
    pub(crate) fn starts_again(&mut self) {
        assert!(!self.process.0.wait().unwrap().success(), "it was killed");
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let mut lines = self.printed.lines();
        lines.hears(&self.listener.take());
        lines.restarts();
        drop(lines);
        self.generation += 1;
        let (process, stdin, reader) = start(&self.sandbox, &self.printed, self.generation);
        (self.process, self.stdin, self.reader) = (process, Some(stdin), Some(reader));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    /// Kills the gateway, and waits until it is gone.
    pub(crate) fn kills_it(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    pub(crate) fn history(&self) -> Connection {
        Connection::open(self.volume.path().join("energi.db")).unwrap()
    }

    /// Waits until every sink has every reading of the stage, and holds them to it.
    pub(crate) fn has_everything(&mut self, stage: &Stage) {
        let begun = Instant::now();
        let wait = |what: &str| {
            assert!(begun.elapsed() < PATIENCE, "{what}; its log ends:\n{}", self.log_end());
            thread::sleep(Duration::from_millis(50));
        };
        while self.printed.lines().count() < stage.count() {
            let printed = self.printed.lines().count();
            wait(&format!("{printed} of {} readings are printed", stage.count()));
        }
        assert_eq!(self.printed.lines().next_stage(), stage.readings, "printed");

        loop {
            let heard = self.listener.take();
            let mut lines = self.printed.lines();
            lines.hears(&heard);
            let (count, topic) = lines.unheard();
            if count == 0 {
                break;
            }
            let what = format!("{count} values do not arrive by MQTT, of {topic:?} for one");
            drop(lines);
            wait(&what);
        }

        for (length, key) in PACKETS {
            let expected: BTreeSet<i64> =
                stage.readings[&length].iter().map(|time| time.div_euclid(1000)).collect();
            while self.stored(key, stage) != expected {
                wait(&format!("{key} is not whole in the history"));
            }
            let metric = format!("myenergi_{key}");
            while self.victoria.times(&metric, stage.span.clone()) != expected {
                wait(&format!("{key} is not whole on the InfluxDB server"));
            }
        }
    }

    fn stored(&self, key: &str, stage: &Stage) -> BTreeSet<i64> {
        let history = self.history();
        let query = "SELECT time FROM sample WHERE key = ? AND time >= ? AND time < ?";
        let mut times = history.prepare(query).unwrap();
        let times =
            times.query_map((key, stage.span.start, stage.span.end), |row| row.get(0)).unwrap();
        times.map(Result::unwrap).collect()
    }

    pub(crate) fn size(&self) -> Size {
        let process = format!("/proc/{}", self.process.0.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
        Size { generation: self.generation, memory, descriptors }
    }

    /// Ends its input, waits for it to end, and gives the log of all that ran.
    pub(crate) fn ends(&mut self) -> String {
        drop(self.stdin.take());
        assert!(self.process.0.wait().unwrap().success(), "{}", self.log_end());
        (0..=self.generation).map(|number| fs::read_to_string(self.log(number)).unwrap()).collect()
    }

    fn log(&self, generation: u32) -> PathBuf {
        self.sandbox.path(&format!("log.{generation}"))
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.log(self.generation)).unwrap();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn start(
    sandbox: &Sandbox,
    printed: &Printed,
    generation: u32,
) -> (Running, ChildStdin, JoinHandle<()>) {
    let mut command = sandbox.program(&["run"]);
    let log = File::create(sandbox.path(&format!("log.{generation}"))).unwrap();
    command.stdin(Stdio::piped()).stderr(log);
    let mut process = Running(command.spawn().unwrap());
    let reader = printed.follow(process.0.stdout.take().unwrap());
    let mut stdin = process.0.stdin.take().unwrap();
    stdin.write_all(&PCAP).unwrap();
    (process, stdin, reader)
}

/// Holds that no gateway grew from its first look to its last.
pub(crate) fn is_flat(sizes: &[Size], kib: u64) {
    for process in sizes.chunk_by(|one, next| one.generation == next.generation) {
        let memory: Vec<_> = process.iter().map(|size| size.memory).collect();
        let descriptors: Vec<_> = process.iter().map(|size| size.descriptors).collect();
        eprintln!("KiB {memory:?}, descriptors {descriptors:?}");
        // What it needs at most it has needed after the first stages.
        let early = memory.iter().take(6).max().unwrap();
        assert!(memory.iter().all(|later| *later <= early + kib), "KiB: {memory:?}");
        let (least, most) = (descriptors.iter().min(), descriptors.iter().max());
        // A connection may have been about to close.
        assert!(most.unwrap() - least.unwrap() <= 2, "descriptors: {descriptors:?}");
    }
}
