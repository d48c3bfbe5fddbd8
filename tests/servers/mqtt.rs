//! The program and a real broker, as a user runs them.

#![cfg(feature = "mqtt")]

mod mqtt_energi;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use energi_gateway::capture::Speed;
use energi_gateway::capture::pcapng::PcapngWriter;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Source};
use support::gateway::{Sandbox, example_day};
use support::mosquitto::{Heard, Listener, Mosquitto, until};
use support::process::Running;

const BRIDGE: &str = "myenergi/bridge/state";

/// A gateway that runs, and what it logs.
struct Gateway {
    process: Running,
    log: PathBuf,
}

impl Gateway {
    /// Starts the program with this configuration.
    fn start(sandbox: &Sandbox, config: &str) -> Self {
        let path = sandbox.write("config.yaml", config);
        let log = sandbox.path("log");
        let mut command = sandbox.program(&["run", "-c", path.to_str().unwrap()]);
        command.stderr(File::create(&log).unwrap());
        Self { process: Running(command.spawn().unwrap()), log }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn says(&self, words: &str) {
        until(words, || self.log().contains(words));
    }

    fn ends(&mut self) -> ExitStatus {
        let status = || self.process.0.try_wait().unwrap();
        let ended = std::cell::RefCell::new(status);
        until("the program ends", || (ended.borrow_mut())().is_some());
        self.process.0.wait().unwrap()
    }

    /// The resident memory, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn simulator(speed: u32, sinks: &str) -> String {
    format!(
        "timezone: Europe/London\n\
         capture: {{type: simulator, speed: {speed}, start: 2026-06-20T10:00}}\n\
         sinks:\n{sinks}"
    )
}

fn replay(sinks: &str) -> String {
    replay_of(&example_day(), "", sinks)
}

/// The replay of a capture, with a `decoders` section besides.
fn replay_of(capture: &Path, decoders: &str, sinks: &str) -> String {
    format!(
        "capture: {{type: replay, path: \"{}\"}}\ndecoders: {{plausibility: keep{decoders}}}\n\
         shutdown_timeout: 1s\nsinks:\n{sinks}",
        capture.display()
    )
}

/// The `mqtt` sink of a test, with what it says beside the broker.
fn mqtt(broker: &Mosquitto, more: &str) -> String {
    format!("  - {{type: mqtt, url: \"{}\"{more}}}\n", broker.url())
}

/// The payloads of every topic, in their order.
fn by_topic(heard: Vec<Heard>) -> BTreeMap<String, Vec<String>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for Heard { topic, payload, .. } in heard {
        topics.entry(topic).or_default().push(payload);
    }
    topics
}

#[test]
fn a_replayed_day_has_the_values_of_mqtt_energi() {
    let sandbox = Sandbox::new();
    let day = sandbox.path("day.pcapng");
    of_the_eddi(&day, 0..24);
    publishes_what_mqtt_energi_does(&day, "", mqtt_energi::CONFIRMED);
}

#[test]
fn experimental_values_are_those_of_mqtt_energi() {
    let sandbox = Sandbox::new();
    let hour = sandbox.path("hour.pcapng");
    // Of all packets, a day has too many values for one listener.
    of_the_eddi(&hour, 12..13);
    let lengths = mqtt_energi::EXPERIMENTAL.iter().map(|(length, ..)| length);
    let on: Vec<_> = lengths.map(|length| format!("\"0x{length:02X}\": true")).collect();
    let decoders = format!(", experimental: {{{}}}", on.join(", "));
    let packets = [mqtt_energi::CONFIRMED, mqtt_energi::EXPERIMENTAL].concat();
    publishes_what_mqtt_energi_does(&hour, &decoders, &packets);
}

/// Copies the eddi's frames of some hours of the example day: `mqtt-energi` takes those of other
/// devices for an eddi's.
fn of_the_eddi(path: &Path, hours: std::ops::Range<i64>) {
    let start: jiff::Timestamp = "2026-06-19T23:00:00Z".parse().unwrap();
    let mut day = ReplaySource::open(&example_day(), Speed::Max).unwrap();
    let mut some = PcapngWriter::new(File::create(path).unwrap(), None).unwrap();
    while let Event::Packet(packet) = day.next().unwrap() {
        let time = packet.time.unwrap();
        let hour = (time.as_second() - start.as_second()) / 3600;
        if packet.bytes[6..12] == [0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5] && hours.contains(&hour) {
            some.write(time, packet.bytes).unwrap();
        }
    }
}

fn publishes_what_mqtt_energi_does(
    capture: &Path,
    decoders: &str,
    packets: &[mqtt_energi::Packet],
) {
    let Some(broker) = Mosquitto::start() else { return };
    let (sandbox, listener) = (Sandbox::new(), broker.listen());
    let sink = mqtt(&broker, ", interval: 0, state: false, discovery: false");
    let mut gateway = Gateway::start(&sandbox, &replay_of(capture, decoders, &sink));
    assert!(gateway.ends().success(), "{}", gateway.log());
    listener.wait_for(BRIDGE, "offline");
    let mut heard = by_topic(listener.heard());
    for (topic, expected) in mqtt_energi::publishes(capture, packets) {
        let payloads = heard.remove(&topic).unwrap_or_default();
        assert_eq!(payloads.len(), expected.len(), "{topic}");
        for (payload, expected) in payloads.iter().zip(expected) {
            assert_eq!(payload.parse(), Ok(expected), "{topic}");
        }
    }
    let ours: Vec<_> = heard.keys().map(|topic| topic.rsplit('/').next().unwrap()).collect();
    let more = ["availability", "export_kWh", "generation_kWh", "import_kWh", "status", "state"];
    assert_eq!(ours, more, "and nothing else: {ours:?}");
}

#[test]
fn a_replay_waits_for_its_broker() {
    let Some(mut broker) = Mosquitto::stopped("allow_anonymous true\n") else { return };
    let sandbox = Sandbox::new();
    let mut gateway = Gateway::start(
        &sandbox,
        &replay(&mqtt(&broker, ", heartbeat: 1h, retain: true, discovery: false")),
    );
    gateway.says("port in `url`");
    assert!(gateway.process.0.try_wait().unwrap().is_none(), "it waits");
    broker.run();
    let listener = broker.listen();
    assert!(gateway.ends().success(), "{}", gateway.log());
    listener.wait_for(BRIDGE, "offline");
    let last = listener.of("myenergi/17589669/diverted_kWh");
    let eddi = sandbox.path("eddi.pcapng");
    of_the_eddi(&eddi, 0..24);
    assert_eq!(last.last(), mqtt_energi::last(&eddi, "diverted_kWh").as_ref());
}

#[test]
fn a_signal_ends_a_replay_that_waits_for_its_broker() {
    let Some(broker) = Mosquitto::stopped("") else { return };
    let sandbox = Sandbox::new();
    let sinks = mqtt(&broker, "") + "  - {type: stdout}\n";
    let mut gateway = Gateway::start(&sandbox, &replay(&sinks));
    let mut lines = BufReader::new(gateway.process.0.stdout.take().unwrap()).lines();
    lines.next().expect("the recording has begun").unwrap();
    thread::spawn(move || lines.for_each(drop));
    gateway.says("trying again");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ends().code(), Some(0));
    assert!(gateway.log().contains("not delivered sink=\"mqtt\""), "{}", gateway.log());
}

#[test]
fn a_replay_that_is_refused_names_its_sink() {
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    broker.only_let_in("me", "right");
    broker.run();
    let sandbox = Sandbox::new();
    let sink = mqtt(&broker, ", name: the broker, username: me, password: hunter2");
    let mut gateway = Gateway::start(&sandbox, &replay(&sink));
    assert_eq!(gateway.ends().code(), Some(69), "{}", gateway.log());
    let log = gateway.log();
    assert!(log.contains("`the broker`"), "{log}");
    assert!(log.contains("user `me`") && !log.contains("hunter2"), "{log}");
}

fn is_announcement(heard: &Heard) -> bool {
    heard.topic.starts_with("homeassistant/device/") && heard.topic.ends_with("/config")
}

fn heard(listener: &Listener, what: &str, is_it: impl Fn(&Heard) -> bool) {
    listener.wait(what, |heard| heard.iter().any(&is_it));
}

#[test]
fn home_assistant_is_told_everything_when_it_starts() {
    let Some(broker) = Mosquitto::start() else { return };
    let (sandbox, listener) = (Sandbox::new(), broker.listen());
    let _gateway = Gateway::start(&sandbox, &simulator(1, &mqtt(&broker, "")));
    heard(&listener, "an announcement", is_announcement);
    heard(&listener, "a value", |it| it.topic.ends_with("/grid_pwr"));
    listener.forget();
    listener.publish("homeassistant/status", "online", false);
    listener.wait("an announcement, then values", |heard| {
        let announced = heard.iter().position(is_announcement);
        announced.is_some_and(|at| heard[at..].iter().any(|it| it.topic.ends_with("/grid_pwr")))
    });
}

#[test]
fn a_clean_stop_says_offline() {
    let Some(broker) = Mosquitto::start() else { return };
    let (sandbox, listener) = (Sandbox::new(), broker.listen());
    let availability = |payload: &str| {
        listener.wait(&format!("availability is {payload}"), |heard| {
            let newest = heard.iter().rev().find(|it| it.topic.ends_with("/availability"));
            newest.is_some_and(|it| it.payload == payload)
        });
    };
    let mut gateway = Gateway::start(&sandbox, &simulator(60, &mqtt(&broker, "")));
    availability("online");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ends().code(), Some(0), "{}", gateway.log());
    availability("offline");
    listener.wait_for(BRIDGE, "offline");
    assert_eq!(listener.of(BRIDGE), ["online", "offline"], "no last will besides");
}

#[test]
fn after_a_kill_the_broker_says_offline() {
    let Some(broker) = Mosquitto::start() else { return };
    let (sandbox, listener) = (Sandbox::new(), broker.listen());
    let gateway = Gateway::start(&sandbox, &simulator(60, &mqtt(&broker, "")));
    listener.wait_for(BRIDGE, "online");
    gateway.signal(Signal::KILL);
    listener.wait_for(BRIDGE, "offline");
}

#[test]
fn an_outage_of_a_day_takes_no_memory() {
    let Some(broker) = Mosquitto::stopped("") else { return };
    // A broker that takes connections and never answers.
    let _silent = TcpListener::bind(("127.0.0.1", broker.port)).unwrap();
    let sandbox = Sandbox::new();
    let sinks = mqtt(&broker, ", interval: 0, qos: 1") + "  - {type: stdout}\n";
    let mut gateway = Gateway::start(&sandbox, &simulator(7_200, &sinks));
    let mut lines = BufReader::new(gateway.process.0.stdout.take().unwrap()).lines();
    let mut read = |count: usize| (&mut lines).take(count).for_each(|line| drop(line.unwrap()));
    // 54,000 readings are a day.
    read(5_000);
    let early = gateway.memory();
    read(49_000);
    let late = gateway.memory();
    assert!(late < early + 2_048, "{early} KiB, then {late} KiB");
}
