//! Behaviour of a gateway when a part of it dies, hangs or gives up, or when it is asked to end.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use energi_decoders::Reading;
use energi_sinks::runner::AT_ONCE;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Batching, Context, Sink, SinkConfig, SinkError, Written};
use tokio::sync::Notify;

use super::{GatewayBuilder, unheard};
use crate::capture::{CaptureError, Event, Link, Packet, Source};
use crate::config;
use crate::pipeline::counters::Counters;
use crate::platform::exit::{Exit, Failure};

const PATIENCE: Duration = Duration::from_secs(20);

/// A source that gives the frames of the devices whose serial numbers it is sent, and ends with
/// the sender; serial number 0 makes it panic.
struct Feed {
    serials: Receiver<u32>,
    frame: Vec<u8>,
    needs_every_sink: bool,
}

impl Source for Feed {
    fn needs_every_sink(&self) -> bool {
        self.needs_every_sink
    }

    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        let serial = match self.serials.recv_timeout(Duration::from_millis(20)) {
            Ok(0) => panic!("as the test wants it"),
            Ok(serial) => serial,
            Err(RecvTimeoutError::Timeout) => return Ok(Event::Idle),
            Err(RecvTimeoutError::Disconnected) => return Ok(Event::End),
        };
        self.frame = vec![0xcb, 0xda, 0xe9, 0xf8];
        self.frame.extend([0; 20]);
        self.frame.extend([0x22, 0x53, 0x10, 0x35, 0, 0xff]);
        self.frame.extend([0; 16]);
        self.frame.extend(serial.to_le_bytes());
        self.frame.extend([0; 8]);
        Ok(Event::Packet(Packet::whole(None, Link::Payload, &self.frame)))
    }
}

/// Reaction of a sink to a batch.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Panics,
    Hangs,
    Broken,
    ReaderGone,
}

/// Message of a sink to the test.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Opened,
    Took(u32),
}

/// A sink that takes every batch once its moods are over.
#[derive(Debug, Clone)]
struct Moody {
    moods: Arc<Mutex<VecDeque<Mood>>>,
    tell: Sender<Told>,
    remote: bool,
    status: Arc<Mutex<StatusHandle>>,
}

#[async_trait]
impl SinkConfig for Moody {
    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        *self.status.lock().unwrap() = context.status.clone();
        let _ = self.tell.send(Told::Opened);
        Ok(Box::new(self.clone()))
    }

    async fn probe(&self, _: &Context) -> Result<String, SinkError> {
        Ok(String::new())
    }

    fn is_remote(&self) -> bool {
        self.remote
    }
}

#[async_trait]
impl Sink for Moody {
    fn batching(&self) -> Batching {
        AT_ONCE
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            None => {
                for reading in batch {
                    let _ = self.tell.send(Told::Took(reading.serial));
                }
                Ok(Written::all(batch.len()))
            }
            Some(Mood::Panics) => panic!("as the test wants it"),
            Some(Mood::Hangs) => std::future::pending().await,
            Some(Mood::Broken) => Err(SinkError::permanent("it fell down".to_owned())),
            Some(Mood::ReaderGone) => Err(SinkError::Closed),
        }
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A running gateway with the sinks `moody` and `other`.
struct Running {
    feed: Sender<u32>,
    moody: Receiver<Told>,
    other: Receiver<Told>,
    status: Arc<Mutex<StatusHandle>>,
    ended: JoinHandle<Result<(), Failure>>,
}

struct Setting {
    moods: Vec<Mood>,
    remote: bool,
    capture: &'static str,
    needs_every_sink: bool,
}

const LIVE: Setting = Setting {
    moods: Vec::new(),
    remote: false,
    capture: "{type: live, interface: eth0}",
    needs_every_sink: false,
};

const RECORDING: Setting = Setting {
    moods: Vec::new(),
    remote: false,
    capture: "{type: replay, path: day.pcap}",
    needs_every_sink: false,
};

impl Running {
    fn start(setting: Setting) -> Self {
        Self::start_until(setting, async || std::future::pending().await)
    }

    /// Starts a gateway that ends at the latest when `shutdown` returns.
    fn start_until(setting: Setting, shutdown: impl AsyncFnMut() + Send + 'static) -> Self {
        let status = Arc::<Mutex<StatusHandle>>::default();
        let sink = |moods: Vec<Mood>| {
            let (tell, told) = mpsc::channel();
            let moods = Arc::new(Mutex::new(moods.into()));
            let status = Arc::clone(&status);
            (Arc::new(Moody { moods, tell, remote: setting.remote, status }), told)
        };
        let (first, moody) = sink(setting.moods);
        let (second, other) = sink(Vec::new());
        let (feed, serials) = mpsc::channel();
        let capture = setting.capture;
        let text = format!(
            "shutdown_timeout: 200ms
capture: {capture}
sinks: [type: stdout]
"
        );
        let config = config::parse(&text, Path::new("config.yaml"), &|_| None).unwrap();
        let gateway = GatewayBuilder::new(&config)
            .unwrap()
            .without_sinks()
            .sink("moody", first)
            .sink("other", second)
            .source(Box::new(Feed {
                serials,
                frame: Vec::new(),
                needs_every_sink: setting.needs_every_sink,
            }))
            .build()
            .unwrap();
        let ended = thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(gateway.run(shutdown))
        });
        Self { feed, moody, other, status, ended }
    }

    fn send(&self, serial: u32) {
        self.feed.send(serial).unwrap();
    }

    /// Ends the input; how the gateway ends then, and what else each sink told.
    fn end(self) -> (Result<(), Failure>, Vec<Told>, Vec<Told>) {
        drop(self.feed);
        let ended = self.ended.join().unwrap();
        (ended, self.moody.iter().collect(), self.other.iter().collect())
    }
}

fn told(sink: &Receiver<Told>) -> Told {
    sink.recv_timeout(PATIENCE).unwrap()
}

fn failure(ended: Result<(), Failure>) -> (Exit, String) {
    let failure = ended.unwrap_err();
    (failure.exit, failure.to_string())
}

#[test]
fn live_a_sink_that_dies_is_started_again() {
    let gateway = Running::start(Setting { moods: vec![Mood::Panics, Mood::Panics], ..LIVE });
    for serial in [1, 2] {
        assert_eq!(told(&gateway.moody), Told::Opened);
        gateway.send(serial);
    }
    assert_eq!(told(&gateway.moody), Told::Opened, "for the third time");
    gateway.send(3);
    assert_eq!(told(&gateway.moody), Told::Took(3));
    let (ended, moody, other) = gateway.end();
    ended.unwrap();
    assert_eq!(moody, []);
    assert_eq!(other, [Told::Opened, Told::Took(1), Told::Took(2), Told::Took(3)]);
}

#[test]
fn what_a_sink_that_dies_had_received_is_rejected() {
    let gateway = Running::start(Setting { moods: vec![Mood::Panics], ..LIVE });
    assert_eq!(told(&gateway.moody), Told::Opened);
    gateway.send(1);
    assert_eq!(told(&gateway.moody), Told::Opened, "for the second time");
    let sinks = gateway.status.lock().unwrap().snapshot().sinks;
    let moody = sinks.iter().find(|sink| sink.name == "moody").unwrap();
    assert_eq!((moody.received, moody.rejected), (1, 1));
    gateway.end().0.unwrap();
}

#[test]
fn in_a_replay_a_sink_that_dies_is_named() {
    for (remote, exit) in [(false, Exit::Io), (true, Exit::Unavailable)] {
        let gateway = Running::start(Setting { moods: vec![Mood::Panics], remote, ..RECORDING });
        (1..=3).for_each(|serial| gateway.send(serial));
        let (ended, moody, other) = gateway.end();
        let (ended, reason) = failure(ended);
        assert_eq!(ended, exit);
        assert!(reason.contains("`moody`") && reason.contains("crashed"), "{reason}");
        assert_eq!(moody, [Told::Opened]);
        assert_eq!(other, [Told::Opened, Told::Took(1), Told::Took(2), Told::Took(3)]);
    }
}

#[test]
fn a_source_that_needs_every_sink_ends_with_one() {
    let stream = Setting { needs_every_sink: true, remote: true, ..RECORDING };
    let gateway = Running::start(Setting { moods: vec![Mood::Panics], ..stream });
    gateway.send(1);
    // Its input goes on.
    let begun = Instant::now();
    while !gateway.ended.is_finished() {
        assert!(begun.elapsed() < PATIENCE, "the gateway goes on");
        thread::sleep(Duration::from_millis(5));
    }
    let (exit, reason) = failure(gateway.ended.join().unwrap());
    assert_eq!(exit, Exit::Unavailable);
    assert!(reason.contains("`moody`") && reason.contains("crashed"), "{reason}");
    assert!(gateway.other.iter().any(|told| told == Told::Took(1)), "the other has its part");
}

#[test]
fn a_sink_that_is_given_up_is_named_with_its_reason() {
    let gateway = Running::start(Setting { moods: vec![Mood::Broken], ..RECORDING });
    gateway.send(1);
    let (ended, _, other) = gateway.end();
    let (ended, reason) = failure(ended);
    assert_eq!(ended, Exit::Io);
    assert!(reason.contains("`moody`") && reason.contains("it fell down"), "{reason}");
    assert_eq!(other, [Told::Opened, Told::Took(1)]);
}

#[test]
fn a_sink_that_hangs_has_only_the_shutdown_timeout() {
    let gateway = Running::start(Setting { moods: vec![Mood::Hangs], ..LIVE });
    gateway.send(1);
    let (ended, _, other) = gateway.end();
    let (ended, reason) = failure(ended);
    assert_eq!(ended, Exit::Io);
    assert!(reason.contains("`moody`") && reason.contains("out of time"), "{reason}");
    assert_eq!(other, [Told::Opened, Told::Took(1)]);
}

#[test]
fn a_gateway_whose_reader_has_gone_ends_quietly() {
    let gateway = Running::start(Setting { moods: vec![Mood::ReaderGone], ..LIVE });
    gateway.send(1);
    // Its input goes on.
    gateway.ended.join().unwrap().unwrap();
    assert!(gateway.other.iter().any(|told| told == Told::Took(1)));
}

#[test]
fn what_came_before_a_capture_died_is_delivered() {
    let gateway = Running::start(LIVE);
    gateway.send(1);
    gateway.send(0);
    let (ended, moody, other) = gateway.end();
    let (ended, reason) = failure(ended);
    assert_eq!(ended, Exit::Io);
    assert!(reason.contains("capture thread"), "{reason}");
    for sink in [moody, other] {
        assert_eq!(sink, [Told::Opened, Told::Took(1)]);
    }
}

/// A wish to end that a test may have.
fn wish() -> (Arc<Notify>, impl AsyncFnMut() + Send + 'static) {
    let wish = Arc::new(Notify::new());
    let wished = Arc::clone(&wish);
    (wish, async move || wished.notified().await)
}

#[test]
fn a_gateway_asked_to_end_delivers_what_it_has() {
    let (wish, shutdown) = wish();
    let gateway = Running::start_until(LIVE, shutdown);
    gateway.send(1);
    assert_eq!([told(&gateway.moody), told(&gateway.moody)], [Told::Opened, Told::Took(1)]);
    wish.notify_one();
    gateway.ended.join().unwrap().unwrap();
    assert_eq!(gateway.other.iter().collect::<Vec<_>>(), [Told::Opened, Told::Took(1)]);
}

#[test]
fn a_second_signal_does_not_wait_for_a_sink() {
    let (wish, shutdown) = wish();
    let setting = Setting { moods: vec![Mood::Hangs], ..RECORDING };
    let gateway = Running::start_until(setting, shutdown);
    gateway.send(1);
    assert_eq!(told(&gateway.moody), Told::Opened);
    assert_eq!([told(&gateway.other), told(&gateway.other)], [Told::Opened, Told::Took(1)]);
    while !gateway.ended.is_finished() {
        wish.notify_one();
        thread::yield_now();
    }
    gateway.ended.join().unwrap().unwrap();
}

#[test]
fn a_listed_device_that_was_never_received_is_known() {
    let text = "capture: {type: simulator}\nsinks: [type: stdout]\n\
                devices: {list: [{serial: 1}, {serial: 2}]}\n";
    let config = config::parse(text, Path::new("config.yaml"), &|_| None).unwrap();
    let counters = Counters::default();
    counters.seen(2);
    let missing = unheard(&config.devices.list, &counters.seen_devices());
    assert_eq!(missing.iter().map(|device| device.serial).collect::<Vec<_>>(), [1]);
}
