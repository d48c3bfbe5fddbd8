//! A real broker for a test, and a client that hears everything.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use tempfile::TempDir;

use crate::process::{Running, free_port, installed};

/// Longest time of something that should happen soon, on a machine that does much else.
const SOON: Duration = Duration::from_mins(1);

/// A Mosquitto of the test's own, ended with it.
pub struct Mosquitto {
    program: PathBuf,
    folder: TempDir,
    pub port: u16,
    running: Option<Running>,
}

impl Mosquitto {
    /// Starts one that lets everybody in. None: the test has been skipped.
    pub fn start() -> Option<Self> {
        let mut broker = Self::stopped("allow_anonymous true\n")?;
        broker.run();
        Some(broker)
    }

    /// One that does not run yet, with these lines in its configuration; `{folder}` stands for a
    /// folder of its own.
    pub fn stopped(lines: &str) -> Option<Self> {
        let broker = Self {
            program: installed("mosquitto")?,
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            running: None,
        };
        broker.configure(lines);
        Some(broker)
    }

    /// Replaces its configuration, for the next start.
    pub fn configure(&self, lines: &str) {
        let folder = self.folder.path().display().to_string();
        // It would otherwise become a user who may not read the folder, and drop what a slow
        // subscriber has not taken yet.
        let general = "user root\nmax_queued_messages 0\nlog_dest none\n";
        let listener = format!("listener {} 127.0.0.1\n", self.port);
        let lines = lines.replace("{folder}", &folder);
        fs::write(self.path("mosquitto.conf"), [general, &listener, &lines].concat()).unwrap();
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets `user` in by `password`, from the next start on, and nobody else.
    pub fn only_let_in(&self, user: &str, password: &str) {
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(self.path("passwords"))
            .args([user, password])
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        self.configure("allow_anonymous false\npassword_file {folder}/passwords\n");
    }

    /// Starts it, and waits until it listens.
    pub fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.path("mosquitto.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(Running(command.spawn().unwrap()));
        until("the broker listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        });
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The process, while it runs.
    pub fn process(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// A client that hears every topic.
    pub fn listen(&self) -> Listener {
        Listener::new(self.port, None)
    }

    /// The same, as a user.
    pub fn listen_as(&self, user: &str, password: &str) -> Listener {
        Listener::new(self.port, Some((user, password)))
    }
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < SOON, "it took too long until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A message as a subscriber gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub topic: String,
    pub payload: String,
    /// True if the broker had kept it, rather than passed it on.
    pub retained: bool,
}

/// A client that subscribes to everything, and connects again by itself.
pub struct Listener {
    client: Client,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    changed: Condvar,
    subscribed: AtomicU32,
    over: AtomicBool,
}

impl Listener {
    /// A client of the broker at this port, as a user where one is given.
    pub fn new(port: u16, user: Option<(&str, &str)>) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let id = format!("test-{}-{number}", std::process::id());
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_max_packet_size(4 << 20, 4 << 20);
        if let Some((user, password)) = user {
            options.set_credentials(user, password);
        }
        let (client, mut connection) = Client::new(options, 100);
        let shared = Arc::new(Shared::default());
        let (own, own_client) = (Arc::clone(&shared), client.clone());
        let thread = thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        own_client.try_subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        own.subscribed.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                        let (topic, retained) = (publish.topic, publish.retain);
                        own.heard.lock().unwrap().push(Heard { topic, payload, retained });
                        own.changed.notify_all();
                    }
                    Ok(_) => {}
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
                if own.over.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let listener = Self { client, shared, thread: Some(thread) };
        listener.until_subscribed(1);
        listener
    }

    /// Waits until it has subscribed for the nth time: once more after each loss of the broker.
    pub fn until_subscribed(&self, times: u32) {
        until("the listener has subscribed", || {
            self.shared.subscribed.load(Ordering::SeqCst) >= times
        });
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Everything since it was taken last, and forgets it.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.shared.heard.lock().unwrap())
    }

    /// Forgets everything so far.
    pub fn forget(&self) {
        self.shared.heard.lock().unwrap().clear();
    }

    /// The payloads of a topic so far.
    pub fn of(&self, topic: &str) -> Vec<String> {
        let heard = self.shared.heard.lock().unwrap();
        heard.iter().filter(|it| it.topic == topic).map(|it| it.payload.clone()).collect()
    }

    /// Waits until something was received.
    pub fn wait(&self, what: &str, enough: impl Fn(&[Heard]) -> bool) {
        let mut heard = self.shared.heard.lock().unwrap();
        let start = Instant::now();
        while !enough(&heard) {
            let left = SOON.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| {
                let last = heard.len().saturating_sub(30);
                panic!("not heard: {what}; the last of {}: {:#?}", heard.len(), &heard[last..])
            });
            heard = self.shared.changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// Waits until the newest message of a topic is `payload`.
    pub fn wait_for(&self, topic: &str, payload: &str) {
        self.wait(&format!("{topic} = {payload}"), |heard| {
            let newest = heard.iter().rev().find(|it| it.topic == topic);
            newest.is_some_and(|it| it.payload == payload)
        });
    }

    pub fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).unwrap();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // An event that it wakes from; there is none where the broker has gone.
        let _ = self.client.disconnect();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns what is retained now.
pub fn retained(broker: &Mosquitto, folder: &str) -> Vec<Heard> {
    let listener = broker.listen();
    // A message of our own comes after everything that the broker had kept.
    listener.publish("test/end", "now", false);
    listener.wait_for("test/end", "now");
    let mut heard = listener.heard();
    heard.retain(|it| it.retained && Path::new(&it.topic).starts_with(folder));
    heard
}
