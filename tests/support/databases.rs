//! Time series databases that tests start, each in a folder and on ports of its own.

#![allow(dead_code, reason = "each test uses the part it needs")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{get, parameter, post};
use crate::process::{Running, free_port, installed};

/// How long a server may take to answer for the first time on a busy machine.
const START: Duration = Duration::from_mins(1);

/// A server that answers, gone with its folder when this is dropped.
struct Server {
    port: u16,
    // Dropped before the folder that it writes to.
    _process: Running,
    _folder: TempDir,
}

impl Server {
    /// Starts what `command` makes of a folder and a port, until it answers `ready` with a success.
    fn start(ready: &str, command: impl Fn(&Path, u16) -> Command) -> Self {
        // Another process may take a port between its choice and its use.
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let mut command = command(folder.path(), port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = Running(command.spawn().unwrap());
            let begun = Instant::now();
            while process.0.try_wait().unwrap().is_none() && begun.elapsed() < START {
                if get(port, ready).is_ok_and(|answer| answer.status < 300) {
                    return Self { port, _process: process, _folder: folder };
                }
                sleep(Duration::from_millis(50));
            }
        }
        panic!("the server does not start");
    }
}

/// InfluxDB 1, for `InfluxQL`.
pub(crate) struct Influxd(Server);

impl Influxd {
    /// Starts it with an empty database. None: the test has been skipped.
    pub(crate) fn start() -> Option<Self> {
        let program = installed("influxd")?;
        let server = Server::start("/ping", |folder, port| {
            let place = |name: &str| folder.join(name).display().to_string();
            let config = format!(
                "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n\
                 [meta]\ndir = \"{}\"\n[data]\ndir = \"{}\"\nwal-dir = \"{}\"\n\
                 [monitor]\nstore-enabled = false\n\
                 [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n",
                free_port(),
                place("meta"),
                place("data"),
                place("wal"),
            );
            std::fs::write(folder.join("influxdb.conf"), config).unwrap();
            let mut command = Command::new(&program);
            command.arg("-config").arg(folder.join("influxdb.conf"));
            command
        });
        let this = Self(server);
        this.ask("CREATE DATABASE energy");
        Some(this)
    }

    /// Writes line protocol, times in microseconds.
    pub(crate) fn write(&self, lines: &str) {
        let answer = post(self.0.port, "/write?db=energy&precision=u", lines.as_bytes()).unwrap();
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// The series that a query finds: an array of objects.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let found = self.ask(query);
        found["series"].as_array().cloned().unwrap_or_default()
    }

    fn ask(&self, query: &str) -> Value {
        let target = format!("/query?db=energy&epoch=ms&{}", parameter("q", query));
        // What creates has to be posted; what only reads may be.
        let answer = post(self.0.port, &target, b"").unwrap().json();
        let result = &answer["results"][0];
        assert!(answer["error"].is_null() && result["error"].is_null(), "{query}: {answer}");
        result.clone()
    }
}

/// `VictoriaMetrics`, for `MetricsQL` and for the write API of InfluxDB 2.
pub(crate) struct VictoriaMetrics(Server);

impl VictoriaMetrics {
    /// Starts it empty. None: the test has been skipped.
    pub(crate) fn start() -> Option<Self> {
        let program = installed("victoria-metrics")?;
        Some(Self(Server::start("/health", |folder, port| {
            let mut command = Command::new(&program);
            command.arg(format!("-storageDataPath={}", folder.display()));
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.args(["-retentionPeriod=100y", "-search.latencyOffset=0s"]);
            command
        })))
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// Writes line protocol, times in microseconds.
    pub(crate) fn write(&self, lines: &str) {
        let target = "/api/v2/write?bucket=energy&org=home&precision=us";
        let answer = post(self.0.port, target, lines.as_bytes()).unwrap();
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Makes what was written so far visible to queries.
    pub(crate) fn flush(&self) {
        get(self.0.port, "/internal/force_flush").unwrap();
    }

    /// The series that a query finds at steps from `start` to `end`, in seconds since 1970.
    pub(crate) fn query(&self, query: &str, start: i64, end: i64, step: &str) -> Vec<Value> {
        let query = parameter("query", query);
        let target = format!("/api/v1/query_range?start={start}&end={end}&step={step}&{query}");
        let answer = get(self.0.port, &target).unwrap().json();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Every sample of the series that `selector` takes: a line of JSON a series.
    pub(crate) fn export(&self, selector: &str) -> Vec<Value> {
        self.flush();
        let target = format!("/api/v1/export?{}", parameter("match[]", selector));
        let answer = get(self.0.port, &target).unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
