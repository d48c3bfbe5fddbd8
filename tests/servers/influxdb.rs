//! Promises of the whole program to a user with an InfluxDB server.

#![cfg(feature = "influxdb")]

#[cfg(feature = "sqlite")]
mod answers;
#[cfg(feature = "sqlite")]
mod disks;
mod kill;
mod memory;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::{Running, free_port};
use support::victoria::{Sample, Victoria};

/// Longest wait of a test for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A payload without a time, for a run that has nothing to add.
fn nothing() -> String {
    let mut payload = [0_u8; 0x18 + 0x22];
    payload[..4].copy_from_slice(&[0xcb, 0xda, 0xe9, 0xf8]);
    payload[0x18..0x1e].copy_from_slice(&[0x22, 0x53, 0x10, 0x35, 0, 0xff]);
    payload[0x2e] = 7;
    let digits: Vec<_> = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat() + "\n"
}

fn config(path: &str, speed: &str, url: &str, more: &str) -> String {
    format!(
        "site: home\nshutdown_timeout: 60s\n\
         capture: {{type: replay, path: \"{path}\", speed: {speed}}}\n\
         sinks:\n  - {{type: stdout}}\n  \
         - {{type: influxdb, url: \"{url}\", org: home, bucket: energy, timeout: 2s{more}}}\n"
    )
}

/// Returns what `VictoriaMetrics` should hold of the lines of the stdout sink.
fn expected(lines: &str) -> BTreeSet<Sample> {
    let mut samples = BTreeSet::new();
    for line in lines.lines() {
        let reading: Value = serde_json::from_str(line).unwrap();
        let time: Timestamp = reading["time"].as_str().unwrap().parse().unwrap();
        let tags = json!({"serial": reading["serial"].to_string(), "site": "home"}).to_string();
        for (key, value) in reading["fields"].as_object().unwrap() {
            let value = value
                .as_bool()
                .map_or_else(|| value.as_f64().unwrap(), |flag| f64::from(u8::from(flag)));
            let key = format!("myenergi_{key}");
            samples.insert((key, tags.clone(), time.as_millisecond(), value.to_string()));
        }
    }
    samples
}

#[track_caller]
fn same(found: &BTreeSet<Sample>, expected: &BTreeSet<Sample>) {
    let missing: Vec<_> = expected.difference(found).take(3).collect();
    let strange: Vec<_> = found.difference(expected).take(3).collect();
    assert!(
        found == expected,
        "{} of {}: missing {missing:?}, strange {strange:?}",
        found.len(),
        expected.len()
    );
}

/// A gateway that replays what a test feeds it; its readings go to a file as well.
struct Fed {
    sandbox: Sandbox,
    gateway: Running,
    stdin: Option<ChildStdin>,
}

impl Fed {
    fn start(url: &str, more: &str) -> Self {
        Self::start_with(Sandbox::new(), &config("-", "max", url, more))
    }

    fn start_with(sandbox: Sandbox, config: &str) -> Self {
        sandbox.write("config.yaml", config);
        let readings = File::create(sandbox.path("readings.jsonl")).unwrap();
        let mut command = sandbox.program(&["run"]);
        command.stdin(Stdio::piped()).stdout(readings).stderr(Stdio::null());
        let mut gateway = Running(command.spawn().unwrap());
        let stdin = gateway.0.stdin.take();
        Self { sandbox, gateway, stdin }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits until the queue's status has something in it.
    fn is_said(&self, wanted: &str) {
        let begun = Instant::now();
        loop {
            let status = self.sandbox.run(&["queue", "status"]);
            if stdout(&status).contains(wanted) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{} {}", stdout(&status), stderr(&status));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns what the stdout sink has printed so far.
    fn printed(&self) -> String {
        fs::read_to_string(self.sandbox.path("readings.jsonl")).unwrap()
    }

    /// Waits for its end, and returns what the stdout sink printed.
    fn end(&mut self) -> String {
        drop(self.stdin.take());
        assert!(self.gateway.0.wait().unwrap().success());
        self.printed()
    }
}

/// Waits until something has come about.
fn until(what: &str, mut come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !come() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The time of a line of the stdout sink in microseconds, as a point has it.
fn time(line: &str) -> i64 {
    let reading: Value = serde_json::from_str(line).unwrap();
    reading["time"].as_str().unwrap().parse::<Timestamp>().unwrap().as_microsecond()
}

#[test]
fn the_example_day_arrives_point_for_point() {
    let Some(victoria) = Victoria::start() else { return };
    let sandbox = Sandbox::new();
    let day = example_day();
    sandbox.write("config.yaml", config(day.to_str().unwrap(), "max", &victoria.url(), ""));
    let run = sandbox.run(&["run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    let expected = expected(&stdout(&run));
    assert!(expected.len() > 150_000);
    same(&victoria.samples(), &expected);
    let again = sandbox.run(&["run"]);
    assert!(again.status.success());
    same(&victoria.samples(), &expected);
}

#[test]
fn a_server_away_for_a_while_has_every_point() {
    let Some(mut victoria) = Victoria::planned() else { return };
    let day = fs::read(example_day()).unwrap();
    let (first, rest) = day.split_at(day.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 2);

    let mut fed = Fed::start(&victoria.url(), "");
    fed.feed(first);
    fed.is_said("influxdb.queue.db, since");
    victoria.begin();
    fed.is_said("no points wait");
    victoria.stop();
    fed.feed(second);
    fed.is_said("influxdb.queue.db, since");
    victoria.begin();
    fed.feed(third);
    let expected = expected(&fed.end());
    assert!(expected.len() > 150_000);
    same(&victoria.samples(), &expected);
}

#[test]
fn what_waits_for_an_absent_server_can_be_purged() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let url = format!("http://127.0.0.1:{}", free_port());
    sandbox.write("config.yaml", config(day.to_str().unwrap(), "max", &url, ""));
    let said = |arguments: &[&str]| {
        let output = sandbox.run(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let is_absent = |status: &str| {
        status.starts_with("influxdb: nothing waits") && status.contains("influxdb.queue.db")
    };
    assert!(is_absent(&said(&["queue", "status"])));
    let run = sandbox.run(&["run"]);
    assert_eq!(run.status.code(), Some(69), "{}", stderr(&run));
    let lines = stdout(&run).lines().count();
    assert!(lines > 53_900, "the other sink has every reading");
    let error = stderr(&run);
    let waiting = format!("{lines} points wait in influxdb.queue.db");
    assert!(error.contains(&waiting), "{error}");
    assert_eq!(
        error.matches("cannot be reached").count(),
        3,
        "at the start, at the end, as the reason: {error}"
    );
    assert!(error.contains(&format!("{lines} waiting")), "{error}");

    let status = said(&["queue", "status"]);
    assert!(status.starts_with(&format!("influxdb: {waiting}, since 20")), "{status}");
    let purge = sandbox.run(&["queue", "purge"]);
    assert_eq!(purge.status.code(), Some(64), "nobody can be asked here");
    assert!(stderr(&purge).contains("--yes"), "{}", stderr(&purge));
    let purged = said(&["queue", "purge", "--yes"]);
    assert!(purged.starts_with(&format!("influxdb: {lines} waiting ")), "{purged}");
    assert!(purged.contains(" 0 dead letters"), "{purged}");
    assert!(is_absent(&said(&["queue", "status"])));
    sandbox.write("plain.yaml", "capture: {type: simulator}\nsinks: [{type: stdout}]\n");
    assert!(said(&["queue", "status", "-c", "plain.yaml"]).contains("no sink"));
}

#[test]
fn a_queue_at_its_limit_drops_the_oldest() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let url = format!("http://127.0.0.1:{}", free_port());
    let small = ", queue: {max_bytes: 1MiB}";
    sandbox.write("config.yaml", config(day.to_str().unwrap(), "max", &url, small));
    let run = sandbox.run(&["run"]);
    assert_eq!(run.status.code(), Some(69), "{}", stderr(&run));
    let error = stderr(&run);
    assert_eq!(error.matches("oldest points").count(), 1, "{error}");
    let count = |what: &str| -> usize {
        let before = error.rsplit_once(&format!(" {what}")).unwrap().0;
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(count("rejected") + count("waiting"), stdout(&run).lines().count(), "{error}");
    let size = fs::metadata(sandbox.path("influxdb.queue.db")).unwrap().len();
    assert!(size <= (1 << 20) + 128 * 1024, "{size}");
    // What is left are the newest.
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let server = FakeServer::start_on(port, Mood::Takes(204));
    let file = sandbox.write("nothing.hex", nothing());
    sandbox.write("config.yaml", config(file.to_str().unwrap(), "max", &url, small));
    assert!(sandbox.run(&["run"]).status.success());
    let last = time(stdout(&run).lines().last().unwrap());
    assert_eq!(server.taken().len(), count("waiting"));
    assert!(server.taken().last().unwrap().ends_with(&last.to_string()));
}

#[test]
fn a_queue_in_use_cannot_be_purged() {
    let server = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let mut fed = Fed::start(&server.url(), "");
    let day = fs::read(example_day()).unwrap();
    fed.feed(&day[..day.len() / 2]);
    fed.is_said("points wait");
    let purge = fed.sandbox.run(&["queue", "purge", "--yes"]);
    assert_eq!(purge.status.code(), Some(69), "{}", stderr(&purge));
    assert!(stderr(&purge).contains("has it open"), "{}", stderr(&purge));

    server.mood(Mood::Takes(204));
    kill_process(Pid::from_child(&fed.gateway.0), Signal::TERM).unwrap();
    let (ended, end) = mpsc::channel();
    let readings = fed.sandbox.path("readings.jsonl");
    let mut gateway = fed.gateway;
    thread::spawn(move || ended.send(gateway.0.wait()));
    assert!(end.recv_timeout(PATIENCE).unwrap().unwrap().success());
    let lines = fs::read_to_string(readings).unwrap().lines().count();
    assert!(lines > 10_000);
    let taken: BTreeSet<_> = server.taken().into_iter().collect();
    assert_eq!(taken.len(), lines, "what came by then is there");
}

#[test]
fn a_proxy_in_the_environment_gets_no_token_unasked() {
    let proxy = FakeServer::start(Mood::Takes(200));
    let server = FakeServer::start(Mood::Takes(204));
    for (more, asked) in [("", false), (", proxy: true", true)] {
        let sandbox = Sandbox::new();
        let file = sandbox.write("nothing.hex", nothing());
        let more = format!(", token: hunter2{more}");
        sandbox.write("config.yaml", config(file.to_str().unwrap(), "max", &server.url(), &more));
        let check = sandbox
            .program(&["check", "--connect"])
            .envs([("http_proxy", proxy.url()), ("HTTP_PROXY", proxy.url())])
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
            .unwrap();
        let said = stdout(&check) + &stderr(&check);
        assert_eq!(said.contains(&proxy.url()), asked, "{said}");
        assert!(said.contains(&server.url()), "{said}");
    }
}
