//! InfluxDB 1, which understands `InfluxQL`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{get, parameter, post};
use crate::process::{Running, free_port, installed};

/// Longest wait for the first answer on a busy machine.
const START: Duration = Duration::from_mins(1);

/// A server with an empty database, in a folder and on ports of its own.
pub struct Influxd {
    port: u16,
    // Ended before the folder that it writes to is removed.
    _process: Running,
    _folder: TempDir,
}

impl Influxd {
    /// Starts it. None: the test has been skipped.
    pub fn start() -> Option<Self> {
        let program = installed("influxd")?;
        // Another process may take a port between its choice and its use.
        let server = (0..5).find_map(|_| Self::try_to_start(&program)).expect("it does not start");
        server.ask("CREATE DATABASE energy");
        Some(server)
    }

    fn try_to_start(program: &Path) -> Option<Self> {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let place = |name: &str| folder.path().join(name).display().to_string();
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
        std::fs::write(folder.path().join("influxdb.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("-config").arg(folder.path().join("influxdb.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Running(command.spawn().unwrap());
        let begun = Instant::now();
        while process.0.try_wait().unwrap().is_none() && begun.elapsed() < START {
            if get(port, "/ping").is_ok_and(|answer| answer.status == 204) {
                return Some(Self { port, _process: process, _folder: folder });
            }
            sleep(Duration::from_millis(50));
        }
        None
    }

    /// Writes line protocol, times in microseconds.
    pub fn write(&self, lines: &str) {
        let answer = post(self.port, "/write?db=energy&precision=u", lines.as_bytes()).unwrap();
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// The series that a query finds: an array of objects.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let found = self.ask(query);
        found["series"].as_array().cloned().unwrap_or_default()
    }

    fn ask(&self, query: &str) -> Value {
        let target = format!("/query?db=energy&epoch=ms&{}", parameter("q", query));
        // What creates has to be posted; what only reads may be.
        let answer = post(self.port, &target, b"").unwrap().json();
        let result = &answer["results"][0];
        assert!(answer["error"].is_null() && result["error"].is_null(), "{query}: {answer}");
        result.clone()
    }
}
