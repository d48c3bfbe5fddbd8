//! A real NATS server with JetStream for a test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, free_port, installed};

/// Longest time of something that should happen soon, on a machine that does much else.
const SOON: Duration = Duration::from_mins(1);

/// The test's own user, where a server knows users.
const ADMIN: (&str, &str) = ("admin", "admin");

/// A server of the test's own, ended with it. Where it knows users, the test is `admin`, with the
/// password `admin`.
pub struct Nats {
    program: PathBuf,
    folder: TempDir,
    pub port: u16,
    running: Option<Running>,
}

/// A message that a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    pub sequence: u64,
    pub subject: String,
    pub data: Vec<u8>,
}

impl Nats {
    /// Starts one that anybody may use. None: the test has been skipped.
    pub fn start() -> Option<Self> {
        Self::with("")
    }

    /// Starts one with more configuration than where it listens and stores.
    pub fn with(configuration: &str) -> Option<Self> {
        let program = installed("nats-server")?;
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { program, folder, port: free_port(), running: None };
        server.run(configuration);
        Some(server)
    }

    /// Starts it with this configuration, and waits until it answers.
    pub fn run(&mut self, configuration: &str) {
        let (port, store) = (self.port, self.folder.path().join("store"));
        let jetstream = if configuration.contains("jetstream") {
            String::new()
        } else {
            format!("jetstream {{store_dir: {store:?}}}\n")
        };
        let text = format!("listen: \"127.0.0.1:{port}\"\n{jetstream}{configuration}\n");
        fs::write(self.path("nats.conf"), text).unwrap();
        let (begun, mut last) = (Instant::now(), String::new());
        while begun.elapsed() < SOON {
            let log = fs::File::create(self.path("log")).unwrap();
            let mut command = Command::new(&self.program);
            command.arg("-c").arg(self.path("nats.conf")).stdin(Stdio::null());
            let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
            self.running = Some(Running(child));
            while begun.elapsed() < SOON {
                last = fs::read_to_string(self.path("log")).unwrap();
                if last.contains("Server is ready") {
                    return;
                }
                if self.running.as_mut().unwrap().0.try_wait().unwrap().is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("it does not start: {last}");
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Stops it where it is, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        let process = i32::try_from(self.running.as_ref().unwrap().0.id()).unwrap();
        kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
        // Its threads stop one after the other.
        let status = format!("/proc/{process}/stat");
        let stopped = || fs::read_to_string(&status).unwrap().contains(") T ");
        let begun = Instant::now();
        while stopped() != frozen {
            assert!(begun.elapsed() < SOON, "the signal has no effect");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a stream of these subjects.
    pub fn add_stream(&self, name: &str, subjects: &str, more: &Value) {
        let mut config = json!({"name": name, "subjects": [subjects], "storage": "file",
            "retention": "limits", "discard": "old", "num_replicas": 1,
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1});
        merge(&mut config, more);
        self.ask(&format!("$JS.API.STREAM.CREATE.{name}"), &config);
    }

    /// Makes a durable pull consumer.
    pub fn add_consumer(&self, stream: &str, name: &str, more: &Value) {
        let mut config = json!({"durable_name": name, "ack_policy": "explicit",
            "deliver_policy": "all", "replay_policy": "instant"});
        merge(&mut config, more);
        let request = json!({"stream_name": stream, "config": config});
        self.ask(&format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}"), &request);
    }

    /// Reads the state of a consumer: `num_pending`, `num_ack_pending` and so on.
    pub fn consumer(&self, stream: &str, name: &str) -> Value {
        self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{name}"), &json!({}))
    }

    /// All messages of a stream.
    pub fn messages(&self, stream: &str) -> Vec<StoredMessage> {
        let state = self.ask(&format!("$JS.API.STREAM.INFO.{stream}"), &json!({}))["state"].clone();
        let number = |key: &str| state[key].as_u64().unwrap();
        let mut asking = Asking::new(self.port, ADMIN);
        (number("first_seq").max(1)..=number("last_seq"))
            .map(|sequence| {
                let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
                let answer = asking.ask(&subject, &json!({"seq": sequence}));
                let message = &answer["message"];
                StoredMessage {
                    sequence,
                    subject: message["subject"].as_str().unwrap().to_owned(),
                    data: base64(message["data"].as_str().unwrap_or_default()),
                }
            })
            .collect()
    }

    /// Stores a message, and returns the stream's answer.
    pub fn publish(&self, subject: &str, data: &[u8]) -> Value {
        Asking::new(self.port, ADMIN).request(subject, data)
    }

    /// Asks JetStream for something that it does not refuse.
    pub fn ask(&self, subject: &str, request: &Value) -> Value {
        Asking::new(self.port, ADMIN).ask(subject, request)
    }

    /// The PEM of its certificate and key for its configuration.
    pub fn tls(certificate: &Path, key: &Path) -> String {
        format!("tls {{cert_file: {certificate:?}, key_file: {key:?}}}")
    }
}

fn merge(config: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
}

/// Asks JetStream at this port, as a user with this password. The answer may be an error; there is
/// none while a cluster has no leader.
pub fn ask_as(port: u16, login: (&str, &str), subject: &str, request: &str) -> Option<Value> {
    let mut asking = Asking::new(port, login);
    asking.stream.get_ref().set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    asking.try_request(subject, request.as_bytes())
}

/// A connection of the test's own, in NATS's text protocol: it owes nothing to what is tested.
struct Asking {
    stream: BufReader<TcpStream>,
    requests: u64,
}

impl Asking {
    fn new(port: u16, (user, password): (&str, &str)) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut asking = Self { stream: BufReader::new(stream), requests: 0 };
        let connect = json!({"verbose": false, "pedantic": false, "user": user,
            "pass": password, "name": "test"});
        asking.send(format!("CONNECT {connect}\r\nSUB _INBOX.test.{port}.* 1\r\n").as_bytes());
        asking
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn ask(&mut self, subject: &str, request: &Value) -> Value {
        let answer = self.request(subject, request.to_string().as_bytes());
        assert!(answer["error"].is_null(), "{subject}: {answer}");
        answer
    }

    fn request(&mut self, subject: &str, data: &[u8]) -> Value {
        self.try_request(subject, data).unwrap_or_else(|| panic!("{subject}: no answer"))
    }

    /// The answer, or none in time.
    fn try_request(&mut self, subject: &str, data: &[u8]) -> Option<Value> {
        self.requests += 1;
        let port = self.stream.get_ref().peer_addr().unwrap().port();
        let inbox = format!("_INBOX.test.{port}.{}", self.requests);
        let head = format!("PUB {subject} {inbox} {}\r\n", data.len());
        self.send(&[head.as_bytes(), data, b"\r\n"].concat());
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).ok()? > 0, "{subject}: it hung up");
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["PING"] => self.send(b"PONG\r\n"),
                ["MSG", to, .., size] => {
                    let mut data = vec![0; size.parse::<usize>().unwrap() + 2];
                    self.stream.read_exact(&mut data).unwrap();
                    if to == inbox {
                        return Some(serde_json::from_slice(&data).unwrap());
                    }
                }
                ["-ERR", ..] => panic!("{subject}: {line}"),
                _ => {}
            }
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<_> = text.bytes().filter(|byte| *byte != b'=').map(digit).collect();
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
