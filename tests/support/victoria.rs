//! A VictoriaMetrics of a test's own.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, parameter};
use crate::process::{Running, free_port, installed};

/// Longest time that it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A value: key, tags, time in ms, and the value as text.
pub type Sample = (String, String, i64, String);

/// A running server.
pub struct Victoria {
    process: Option<Running>,
    port: u16,
    data: TempDir,
}

impl Victoria {
    /// Starts one that listens where nobody else does; `None` where it is not installed.
    pub fn start() -> Option<Self> {
        let mut victoria = Self::planned()?;
        victoria.begin();
        Some(victoria)
    }

    /// One that is yet to begin; `None` where it is not installed.
    pub fn planned() -> Option<Self> {
        installed("victoria-metrics")?;
        Some(Self { process: None, port: free_port(), data: tempfile::tempdir().unwrap() })
    }

    /// Starts it, or starts it again over what it holds, and waits until it answers.
    pub fn begin(&mut self) {
        let program = installed("victoria-metrics").unwrap();
        self.process = Some(serve(&program, self.port, self.data.path()));
        let begun = Instant::now();
        while self.get("/health").is_none_or(|answer| answer != "OK") {
            assert!(begun.elapsed() < PATIENCE, "VictoriaMetrics does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it in order: killed it would lose what it has taken.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        kill_process(Pid::from_child(&process.0), Signal::TERM).unwrap();
        process.0.wait().unwrap();
    }

    /// The process, while it runs.
    pub fn process(&self) -> &Running {
        self.process.as_ref().unwrap()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every value that it holds, equal ones once.
    pub fn samples(&self) -> BTreeSet<Sample> {
        self.get("/internal/force_flush").unwrap();
        let exported = self.get("/api/v1/export?match[]={__name__!=%22%22}").unwrap();
        let mut samples = BTreeSet::new();
        for line in exported.lines() {
            let series: Value = serde_json::from_str(line).unwrap();
            let mut metric = series["metric"].as_object().unwrap().clone();
            let key = metric.remove("__name__").unwrap().as_str().unwrap().to_owned();
            let tags = Value::from(metric).to_string();
            let (times, values) = (&series["timestamps"], &series["values"]);
            for (time, value) in times.as_array().unwrap().iter().zip(values.as_array().unwrap()) {
                let value = value.as_f64().unwrap().to_string();
                samples.insert((key.clone(), tags.clone(), time.as_i64().unwrap(), value));
            }
        }
        samples
    }

    /// The times of a key's values in this span, in ms, whatever their tags.
    pub fn times(&self, key: &str, span: Range<i64>) -> BTreeSet<i64> {
        self.get("/internal/force_flush").unwrap();
        let series = parameter("match[]", key);
        let Range { start, end } = span;
        let target = format!("/api/v1/export?{series}&start={}&end={}", ms(start), ms(end - 1));
        let exported = self.get(&target).unwrap();
        let mut times = BTreeSet::new();
        for line in exported.lines() {
            let series: Value = serde_json::from_str(line).unwrap();
            let found = series["timestamps"].as_array().unwrap();
            times.extend(found.iter().map(|time| time.as_i64().unwrap()));
        }
        times
    }

    /// Writes line protocol, times in microseconds.
    pub fn write(&self, lines: &str) {
        let target = "/api/v2/write?bucket=energy&org=home&precision=us";
        let answer = http::post(self.port, target, lines.as_bytes()).unwrap();
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// The series that a query of `MetricsQL` finds at steps from `start` to `end`, in seconds
    /// since 1970.
    pub fn query(&self, query: &str, start: i64, end: i64, step: &str) -> Vec<Value> {
        self.get("/internal/force_flush").unwrap();
        let query = parameter("query", query);
        let target = format!("/api/v1/query_range?start={start}&end={end}&step={step}&{query}");
        let answer = http::get(self.port, &target).unwrap().json();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The body of an answer; `None` where there is none.
    fn get(&self, path: &str) -> Option<String> {
        String::from_utf8(http::get(self.port, path).ok()?.body).ok()
    }
}

/// Milliseconds as the server reads a time: in seconds.
fn ms(time: i64) -> String {
    format!("{}.{:03}", time / 1000, time % 1000)
}

fn serve(program: &Path, port: u16, data: &Path) -> Running {
    let child = Command::new(program)
        .args([format!("-httpListenAddr=127.0.0.1:{port}"), "-retentionPeriod=100y".to_owned()])
        .arg(format!("-storageDataPath={}", data.display()))
        .args(["-memory.allowedBytes=100MB", "-search.disableCache"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}
