//! Promises of the `nats` sink, at a real server.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use energi_sinks::nats::NatsConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, CapturedFrame, Context, Sink, SinkConfig, SinkError};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::authority::Authority;
use support::disk::Disk;
use support::nats::Nats;
use tokio::time::{Instant, sleep};

/// Longest wait of a test for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

const SUBJECT: &str = "energi.home.frames";

/// Time of the first frame, in microseconds.
const START: i64 = 1_781_953_323_000_001;

struct Setup {
    folder: tempfile::TempDir,
    config: NatsConfig,
    context: Context,
}

impl Setup {
    fn new(url: &Value, more: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("nats.queue.db");
        let mut config =
            json!({"url": url, "subject": SUBJECT, "timeout": "2s", "queue": {"path": queue}});
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let context = Context {
            name: "nats".to_owned(),
            site: None,
            timezone: jiff::tz::TimeZone::UTC,
            device_names: Arc::default(),
            only_devices: None,
            layouts: Arc::default(),
            live: false,
            backpressure: Backpressure::Wait,
            status: StatusHandle::default(),
            tariff: None,
        };
        Self { folder, config: serde_json::from_value(config).unwrap(), context }
    }

    fn of(server: &Nats) -> Self {
        Self::new(&json!(server.url()), &json!({}))
    }

    async fn open(&self) -> Box<dyn Sink<CapturedFrame>> {
        // One that was dropped lets go of its queue when its thread ends.
        let begun = Instant::now();
        loop {
            match self.config.open_for_frames(&self.context).await {
                Ok(sink) => return sink,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn probe(&self) -> Result<String, String> {
        self.config.probe(&self.context).await.map_err(|error| error.to_string())
    }

    /// Delivers frames, all of them.
    async fn deliver(&self, frames: &[Arc<CapturedFrame>]) {
        let mut sink = self.open().await;
        sink.write(frames).await.unwrap();
        close(&mut *sink).await;
    }

    /// Returns the error of a sink that has to keep a frame.
    async fn refusal(&self, number: u32) -> String {
        let mut sink = self.open().await;
        sink.write(&frames(number..number + 1)).await.unwrap();
        let error = sink.close().await.unwrap_err().to_string();
        assert!(error.contains("frames wait in"), "{error}");
        error
    }
}

/// Closes a sink as a recording's end does: again and again.
async fn close(sink: &mut dyn Sink<CapturedFrame>) {
    let begun = Instant::now();
    while let Err(error) = sink.close().await {
        assert!(matches!(error, SinkError::Transient { .. }), "{error:?}");
        assert!(begun.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Frames, one a second.
fn frames(numbers: std::ops::Range<u32>) -> Vec<Arc<CapturedFrame>> {
    let frame = |number: u32| CapturedFrame {
        time: Timestamp::from_microsecond(START + i64::from(number) * 1_000_000).ok(),
        interface: Some("eth7".into()),
        bytes: noise(number, 200),
    };
    numbers.map(|number| Arc::new(frame(number))).collect()
}

/// Bytes that compress badly.
fn noise(seed: u32, length: usize) -> Box<[u8]> {
    let mut state = u64::from(seed) + 1;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    bytes.take(length).collect()
}

/// The numbers of the frames that a stream holds, in order; each message is a capture of its own.
fn stored(server: &Nats) -> Vec<u32> {
    let mut numbers = Vec::new();
    for message in server.messages("energi") {
        assert_eq!(message.subject, SUBJECT);
        let mut capture = Vec::new();
        GzDecoder::new(&message.data[..]).read_to_end(&mut capture).unwrap();
        assert!(capture.windows(4).any(|bytes| bytes == b"eth7"));
        let mut rest = &capture[..];
        while let Some(head) = rest.get(..8) {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let size = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
            if word(0) == 6 {
                let time = i64::from(word(12)) << 32 | i64::from(word(16));
                let number = u32::try_from((time - START) / 1_000_000).unwrap();
                let frame = &frames(number..number + 1)[0];
                assert_eq!(Timestamp::from_microsecond(time).ok(), frame.time);
                assert_eq!(rest[28..28 + word(20) as usize], frame.bytes[..]);
                numbers.push(number);
            }
            rest = &rest[size..];
        }
    }
    numbers.sort_unstable();
    numbers
}

fn numbers(range: std::ops::Range<u32>) -> Vec<u32> {
    range.collect()
}

fn server() -> Option<Nats> {
    let server = Nats::start()?;
    server.add_stream("energi", "energi.*.frames", &json!({}));
    Some(server)
}

#[tokio::test]
async fn each_frame_is_stored_once() {
    let Some(server) = server() else { return };
    let setup = Setup::of(&server);
    let answer = setup.probe().await.unwrap();
    assert!(answer.contains("takes energi.home.frames"), "{answer}");
    assert_eq!(server.messages("energi"), [], "a trial stores nothing");
    let frames = frames(0..300);
    for _ in 0..2 {
        // The second time is that of a gateway whose confirmations were lost.
        let mut sink = setup.open().await;
        for batch in frames.chunks(20) {
            sink.write(batch).await.unwrap();
        }
        close(&mut *sink).await;
    }
    assert_eq!(stored(&server), numbers(0..300));
    assert_eq!(server.messages("energi").len(), 15);
}

#[tokio::test]
async fn an_outage_neither_loses_nor_doubles_a_frame() {
    let Some(mut server) = server() else { return };
    let setup = Setup::of(&server);
    let frames = frames(0..60);
    let batches: Vec<_> = frames.chunks(10).collect();
    let mut sink = setup.open().await;
    sink.write(batches[0]).await.unwrap();
    server.kill();
    sink.write(batches[1]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 10);
    // What waits is not in memory alone.
    drop(sink);
    let mut sink = setup.open().await;
    sink.write(batches[2]).await.unwrap();
    server.run("");
    sink.write(batches[3]).await.unwrap();
    close(&mut *sink).await;
    let mut sink = setup.open().await;
    sink.write(batches[4]).await.unwrap();
    // It takes the message, and its answer comes too late: the batch is sent again.
    server.freeze(true);
    sink.write(batches[5]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 10);
    server.freeze(false);
    close(&mut *sink).await;
    assert_eq!(stored(&server), numbers(0..60));
    assert_eq!(server.messages("energi").len(), 6, "batches that waited are not joined");
}

#[tokio::test]
async fn one_server_of_several_is_enough() {
    let Some(server) = server() else { return };
    let setup = Setup::new(&json!(["nats://127.0.0.1:1", server.url()]), &json!({}));
    setup.deliver(&frames(0..3)).await;
    assert_eq!(stored(&server), numbers(0..3));
}

#[tokio::test]
async fn a_batch_that_is_too_large_goes_in_halves() {
    let Some(server) = Nats::with("max_payload: 2048") else { return };
    server.add_stream("energi", "energi.*.frames", &json!({}));
    let setup = Setup::of(&server);
    let mut frames = frames(0..40);
    let giant = CapturedFrame { bytes: noise(7, 4096), ..(*frames[7]).clone() };
    frames[7] = Arc::new(giant);
    let mut sink = setup.open().await;
    sink.write(&frames).await.unwrap();
    close(&mut *sink).await;
    assert_eq!(sink.queue_stats().rejected, 1);
    let expected: Vec<_> = (0..40).filter(|number| *number != 7).collect();
    assert_eq!(stored(&server), expected);
}

/// Users as the documents have them.
const USERS: &str = r#"
authorization {
  users: [
    {user: admin, password: admin}
    {user: home, password: home, permissions: {
      publish: ["energi.home.frames"], subscribe: ["_INBOX.energi.home.frames.>"]}}
    {user: other, password: other, permissions: {
      publish: ["energi.other.frames"], subscribe: ["_INBOX.energi.other.frames.>"]}}
  ]
}"#;

/// The sink of a site at a server with these users.
fn site(server: &Nats, user: &str, password: &str) -> Setup {
    Setup::new(&json!(server.url()), &json!({"username": user, "password": password}))
}

#[tokio::test]
async fn a_site_needs_no_more_than_its_subject() {
    let Some(server) = Nats::with(USERS) else { return };
    let home = site(&server, "home", "home");
    for said in [home.refusal(0).await, home.probe().await.unwrap_err()] {
        assert!(said.contains("nats stream add"), "{said}");
    }
    server.add_stream("energi", "energi.*.frames", &json!({}));
    home.deliver(&frames(1..5)).await;
    assert_eq!(stored(&server), numbers(0..5), "what was refused is delivered");
    assert!(home.probe().await.unwrap().contains("a stream takes"));
}

#[tokio::test]
async fn a_refused_user_is_told_what_to_change() {
    let Some(server) = Nats::with(USERS) else { return };
    server.add_stream("energi", "energi.*.frames", &json!({}));
    let wrong = site(&server, "home", "hunter2");
    for said in [wrong.refusal(9).await, wrong.probe().await.unwrap_err()] {
        assert!(said.contains("let this user in") && !said.contains("hunter2"), "{said}");
    }
    let other = site(&server, "other", "other");
    for said in [other.refusal(9).await, other.probe().await.unwrap_err()] {
        assert!(said.contains("may not") && said.contains(SUBJECT), "{said}");
    }
}

#[tokio::test]
async fn a_server_without_jetstream_says_how_to_enable_it() {
    let Some(mut server) = Nats::start() else { return };
    server.kill();
    server.run("# no jetstream");
    let said = Setup::of(&server).probe().await.unwrap_err();
    assert!(said.contains("JetStream") && said.contains("-js"), "{said}");
}

#[tokio::test]
async fn a_stream_that_is_full_keeps_frames_waiting() {
    let Some(server) = Nats::start() else { return };
    server.add_stream("energi", "energi.*.frames", &json!({"max_msgs": 1, "discard": "new"}));
    let setup = Setup::of(&server);
    let mut sink = setup.open().await;
    sink.write(&frames(0..2)).await.unwrap();
    sink.write(&frames(2..4)).await.unwrap();
    let said = sink.close().await.unwrap_err().to_string();
    assert!(said.contains("maximum messages"), "{said}");
    drop(sink);
    server.ask("$JS.API.STREAM.PURGE.energi", &json!({}));
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    assert_eq!(stored(&server), numbers(2..4));
}

#[tokio::test]
async fn frames_wait_while_the_server_refuses_connections() {
    let Some(mut server) = server() else { return };
    server.kill();
    server.run("max_connections: 1");
    let mut only = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    only.write_all(b"CONNECT {}\r\nPING\r\n").unwrap();
    // It has answered once this connection is counted.
    let mut answer = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("PONG") {
        assert!(only.read(&mut answer).unwrap() > 0);
    }
    let setup = Setup::of(&server);
    let said = setup.refusal(0).await;
    assert!(said.contains("maximum connections"), "{said}");
    drop(only);
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    drop(sink);
    server.kill();
    server.run("");
    assert_eq!(stored(&server), numbers(0..1));
}

#[tokio::test]
async fn frames_wait_while_the_disk_of_the_server_is_full() {
    let Some(mut server) = Nats::start() else { return };
    let Some(disk) = Disk::mount(server.path("small"), "size=4m") else { return };
    server.kill();
    let store = format!("jetstream {{store_dir: {:?}}}", disk.path());
    server.run(&store);
    server.add_stream("energi", "energi.*.frames", &json!({}));
    let setup = Setup::of(&server);
    setup.deliver(&frames(0..2)).await;
    disk.fill();
    let mut sink = setup.open().await;
    // The last block of a file may take some more.
    let mut sent = 2;
    while sink.queue_stats().waiting == 0 {
        sink.write(&frames(sent..sent + 20)).await.unwrap();
        sent += 20;
        assert!(sent < 2_000, "the disk is full");
    }
    assert!(disk.remount("size=16m"));
    drop(sink);
    server.kill();
    server.run(&store);
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    assert_eq!(stored(&server), numbers(0..sent));
    server.kill();
}

/// Public key of a user, and the seed of it.
const KEY: &str = "UACDCEGWO7GHTZNBQBGIBPOXF26HSA6EEPJW2LKSKTERDAESKYRAP2ND";
const SEED: &str = "SUABBEIUPF3YSW2QO7E7TWWCZNJYWMITI5R3LA7DMP2DXNSEM7MDK7D2IY";

/// The seed of a user that no server knows.
const STRANGER: &str = "SUAIVSSPGZ3U7AVGPRIHZOOJMZ4UQLRMY5T7FU4FAITJKV5FM2YJF62TSE";

#[tokio::test]
async fn a_site_logs_in_with_a_key_pair() {
    let users =
        format!("authorization {{users: [{{user: admin, password: admin}}, {{nkey: {KEY}}}]}}");
    let Some(server) = Nats::with(&users) else { return };
    server.add_stream("energi", "energi.*.frames", &json!({}));
    let mut setup = Setup::of(&server);
    let file = setup.folder.path().join("seed");
    setup.config.nkey_file = Some(file.clone());
    std::fs::write(&file, STRANGER).unwrap();
    assert!(setup.refusal(0).await.contains("let this user in"));
    std::fs::write(&file, format!("{SEED}\n")).unwrap();
    setup.deliver(&frames(1..3)).await;
    assert_eq!(stored(&server), numbers(0..3));
}

#[tokio::test]
async fn a_site_logs_in_with_credentials() {
    let operator = include_str!("../golden/nats-operator.conf");
    let Some(server) = Nats::with(operator) else { return };
    let mut setup = Setup::of(&server);
    let file = setup.folder.path().join("home.creds");
    setup.config.creds_file = Some(file.clone());
    let credentials = include_str!("../golden/nats-home.creds");
    let seed = credentials.lines().find(|line| line.starts_with("SU")).unwrap();
    std::fs::write(&file, credentials.replace(seed, STRANGER)).unwrap();
    let said = setup.probe().await.unwrap_err();
    assert!(said.contains("let this user in"), "{said}");
    // It is in: what it misses is a stream.
    std::fs::write(&file, credentials).unwrap();
    let said = setup.probe().await.unwrap_err();
    assert!(said.contains("no stream takes"), "{said}");
}

#[tokio::test]
async fn only_the_authority_of_the_file_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let other = Authority::new(&folder.path().join("other"));
    let identity = ours.vouch_for(Some("127.0.0.1"));
    let tls = Nats::tls(&identity.certificate, &identity.key);
    let Some(mut server) = Nats::with("") else { return };
    server.add_stream("energi", "energi.*.frames", &json!({}));
    server.kill();
    server.run(&tls);
    let mut setup = Setup::new(&json!(server.url().replace("nats:", "tls:")), &json!({}));
    let missing = setup.folder.path().join("missing");
    for (number, ca_file) in [(0, Some(other.certificate())), (1, None), (2, Some(missing))] {
        setup.config.ca_file = ca_file;
        let said = setup.refusal(number).await;
        assert!(said.contains("ca_file"), "{said}");
    }
    setup.config.ca_file = Some(ours.certificate());
    setup.deliver(&frames(3..5)).await;
    server.kill();
    server.run("");
    assert_eq!(stored(&server), numbers(0..5));
    assert!(setup.probe().await.is_err(), "never in the clear");
}
