//! Readings of a gateway at the centre from the frames that sites send to a stream.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Command};

use energi_gateway::capture::pcapng::PcapngWriter;
use energi_gateway::capture::simulator::{Household, Settings};
use jiff::tz::TimeZone;
use serde_json::json;

use support::gateway::{Sandbox, stderr, stdout};
use support::mosquitto::until;
use support::nats::Nats;
use support::process::Running;

/// Frames of a message.
const BATCH: usize = 20;

/// A server whose stream has the frames of an eddi, and the folder of the gateway at the centre.
struct Centre {
    server: Nats,
    sandbox: Sandbox,
}

impl Centre {
    /// A centre with so many messages in the stream. None: the test has been skipped.
    fn new(messages: usize) -> Option<Self> {
        Some(Self::at(Nats::start()?, messages))
    }

    fn at(server: Nats, messages: usize) -> Self {
        server.add_stream("energi", "energi.*.frames", &json!({}));
        let centre = Self { server, sandbox: Sandbox::new() };
        let settings = Settings::new("2026-06-20T10:00:00Z".parse().unwrap(), TimeZone::UTC);
        let mut household = Household::new(settings);
        let file = File::create(centre.sandbox.path("site.pcapng")).unwrap();
        let mut whole = PcapngWriter::new(file, None).unwrap();
        for _ in 0..messages {
            let mut message = PcapngWriter::new(Vec::new(), Some("eth0")).unwrap();
            for _ in 0..BATCH {
                let (time, frame) = household.next_frame().unwrap();
                message.write(time, frame).unwrap();
                whole.write(time, frame).unwrap();
            }
            centre.publish(&message.into_inner());
        }
        centre
    }

    fn publish(&self, data: &[u8]) {
        let stored = self.server.publish("energi.home.frames", data);
        assert!(stored["seq"].is_u64(), "{stored}");
    }

    /// Makes a consumer that sends a message again after a second.
    fn consumer(&self, name: &str) {
        self.server.add_consumer("energi", name, &json!({"ack_wait": 1_000_000_000}));
    }

    /// A configuration that reads as this consumer into the history `<consumer>.db`.
    fn configure(&self, consumer: &str, more: &str) -> String {
        let url = self.server.url();
        let text = format!(
            "capture: {{type: nats, url: {url:?}, stream: energi, consumer: {consumer}, in_flight: 8}}\n\
             timezone: UTC\n\
             decoders: {{plausibility: keep{more}}}\n\
             sinks: [{{type: sqlite, path: {consumer}.db, flush_interval: 50ms}}]\n"
        );
        let name = format!("{consumer}.yaml");
        self.sandbox.write(&name, text);
        name
    }

    fn run(&self, configuration: &str) -> Gateway<'_> {
        let mut command: Command = self.sandbox.program(&["run", "-c", configuration]);
        let log = File::create(self.sandbox.path("log")).unwrap();
        Gateway { child: Running(command.stderr(log).spawn().unwrap()), centre: self }
    }

    /// Returns how many messages wait to be read, and how many to be acknowledged.
    fn waiting(&self, consumer: &str) -> (u64, u64) {
        let info = self.server.consumer("energi", consumer);
        let number = |key: &str| info[key].as_u64().unwrap();
        (number("num_pending"), number("num_ack_pending"))
    }

    /// Waits until everything is read and acknowledged.
    fn until_done(&self, consumer: &str) {
        until("every message is acknowledged", || self.waiting(consumer) == (0, 0));
    }

    /// Reads the rows of a history.
    fn rows(&self, history: &str) -> BTreeSet<String> {
        let output = self.sandbox.run(&["history", "export", "--db", history]);
        assert!(output.status.success(), "{}", stderr(&output));
        let rows: Vec<_> = stdout(&output).lines().skip(1).map(str::to_owned).collect();
        let set: BTreeSet<_> = rows.iter().cloned().collect();
        assert_eq!(set.len(), rows.len(), "each value is there once");
        set
    }

    /// Reads the rows of a history whose frames are decoded locally.
    fn local(&self) -> BTreeSet<String> {
        self.sandbox.write(
            "local.yaml",
            "capture: {type: replay, path: site.pcapng}\ntimezone: UTC\n\
             decoders: {plausibility: keep}\nsinks: [{type: sqlite, path: local.db}]\n",
        );
        let output = self.sandbox.run(&["run", "-c", "local.yaml"]);
        assert!(output.status.success(), "{}", stderr(&output));
        self.rows("local.db")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("log")).unwrap()
    }
}

/// A gateway that runs.
struct Gateway<'c> {
    child: Running,
    centre: &'c Centre,
}

impl Gateway<'_> {
    /// Ends it as the service manager does, and returns what it logged.
    fn end(mut self) -> String {
        let child: &mut Child = &mut self.child.0;
        let process = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let log = self.centre.log();
        assert!(status.success(), "{log}");
        log
    }
}

#[test]
fn the_centre_stores_what_decoding_at_the_site_stores() {
    let Some(centre) = Centre::new(40) else { return };
    centre.consumer("history");
    let gateway = centre.run(&centre.configure("history", ""));
    centre.until_done("history");
    gateway.end();
    let local = centre.local();
    assert!(local.len() > 1_000, "{}", local.len());
    assert_eq!(centre.rows("history.db"), local);
}

#[test]
fn gateways_share_a_consumer() {
    let Some(centre) = Centre::new(80) else { return };
    centre.consumer("history");
    let first = centre.configure("history", "");
    let text = std::fs::read_to_string(centre.sandbox.path(&first)).unwrap();
    centre.sandbox.write("other.yaml", text.replace("history.db", "other.db"));
    let gateways = [centre.run(&first), centre.run("other.yaml")];
    centre.until_done("history");
    for gateway in gateways {
        gateway.end();
    }
    assert_eq!(centre.server.consumer("energi", "history")["delivered"]["consumer_seq"], 80);
    let (first, other) = (centre.rows("history.db"), centre.rows("other.db"));
    assert!(first.is_disjoint(&other));
    assert_eq!(&first | &other, centre.local());
}

#[test]
fn a_damaged_message_is_skipped() {
    let Some(centre) = Centre::new(2) else { return };
    centre.publish(b"not a capture");
    let mut cut = PcapngWriter::new(Vec::new(), None).unwrap().into_inner();
    cut.truncate(cut.len() - 1);
    centre.publish(&cut);
    let whole = std::fs::read(centre.sandbox.path("site.pcapng")).unwrap();
    centre.publish(&whole);
    centre.consumer("history");
    let gateway = centre.run(&centre.configure("history", ""));
    centre.until_done("history");
    let log = gateway.end();
    assert!(log.contains("sequence=3") && log.contains("sequence=4"), "{log}");
    assert!(log.contains("damaged messages: 2"), "{log}");
    assert_eq!(centre.rows("history.db"), centre.local());
}

#[test]
fn a_centre_that_is_killed_loses_nothing() {
    let Some(centre) = Centre::new(80) else { return };
    centre.consumer("history");
    let configuration = centre.configure("history", "");
    let mut gateway = centre.run(&configuration);
    until("some are acknowledged", || {
        centre.server.consumer("energi", "history")["ack_floor"]["stream_seq"].as_u64() >= Some(8)
    });
    gateway.child.0.kill().unwrap();
    gateway.child.0.wait().unwrap();
    let (unread, unacknowledged) = centre.waiting("history");
    assert!(unread > 0 && unacknowledged > 0, "{unread} {unacknowledged}");
    let gateway = centre.run(&configuration);
    centre.until_done("history");
    gateway.end();
    assert_eq!(centre.rows("history.db"), centre.local());
}

#[test]
fn a_server_that_is_killed_costs_nothing() {
    let Some(mut centre) = Centre::new(80) else { return };
    centre.consumer("history");
    let configuration = centre.configure("history", "");
    let path = centre.sandbox.path("log");
    let mut command = centre.sandbox.program(&["run", "-c", &configuration]);
    let log = File::create(&path).unwrap();
    let _gateway = Running(command.stderr(log).spawn().unwrap());
    until("some are read", || centre.waiting("history").0 < 70);
    centre.server.kill();
    until("the outage is logged", || centre.log().contains("trying again"));
    centre.server.run("");
    centre.until_done("history");
    assert_eq!(centre.rows("history.db"), centre.local());
}

#[test]
fn a_slow_sink_gets_each_message_once() {
    let Some(centre) = Centre::new(8) else { return };
    centre.consumer("history");
    let name = centre.configure("history", "");
    let text = std::fs::read_to_string(centre.sandbox.path(&name)).unwrap();
    // Longer than the server waits before a message is sent again.
    centre.sandbox.write(&name, text.replace("50ms", "3s"));
    let gateway = centre.run(&name);
    centre.until_done("history");
    gateway.end();
    assert_eq!(centre.server.consumer("energi", "history")["delivered"]["consumer_seq"], 8);
}

/// Users as the page of the sink has them.
const USERS: &str = r#"
authorization {
  users: [
    {user: admin, password: admin}
    {user: centre, password: secret, permissions: {
      publish: ["$JS.API.CONSUMER.INFO.energi.history", "$JS.API.CONSUMER.MSG.NEXT.energi.history", "$JS.ACK.energi.history.>"],
      subscribe: ["_INBOX.energi.history.>"]}}
  ]
}"#;

#[test]
fn a_centre_needs_no_more_than_its_consumer() {
    let Some(server) = Nats::with(USERS) else { return };
    let centre = Centre::at(server, 4);
    centre.consumer("history");
    let name = centre.configure("history", "");
    let text = std::fs::read_to_string(centre.sandbox.path(&name)).unwrap();
    let login = "in_flight: 8, username: centre, password: secret";
    centre.sandbox.write(&name, text.replace("in_flight: 8", login));
    let gateway = centre.run(&name);
    centre.until_done("history");
    gateway.end();
    assert_eq!(centre.rows("history.db"), centre.local());
}

#[test]
fn a_second_consumer_decodes_the_past_differently() {
    let Some(centre) = Centre::new(10) else { return };
    for (consumer, decoders) in
        [("history", ""), ("research", ", experimental: {\"0x27\": true, \"0x36\": true}")]
    {
        centre.consumer(consumer);
        let gateway = centre.run(&centre.configure(consumer, decoders));
        centre.until_done(consumer);
        gateway.end();
    }
    let (before, after) = (centre.rows("history.db"), centre.rows("research.db"));
    assert!(after.is_superset(&before) && after.len() > before.len());
    let key = |row: &String| row.split(',').nth(2).unwrap().to_owned();
    let known: BTreeSet<_> = before.iter().map(key).collect();
    assert!(after.difference(&before).all(|row| !known.contains(&key(row))));
}

#[test]
fn a_missing_consumer_is_named_with_its_command() {
    let Some(centre) = Centre::new(1) else { return };
    let configuration = centre.configure("history", "");
    let command = "nats consumer add energi history --pull --ack explicit";
    let check = || centre.sandbox.run(&["check", "--connect", "-c", &configuration]);
    let output = check();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(!output.status.success() && said.contains(command), "{said}");
    let gateway = centre.run(&configuration);
    until("a run says so too", || centre.log().contains(command));
    centre.consumer("history");
    centre.until_done("history");
    gateway.end();
    let output = check();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
