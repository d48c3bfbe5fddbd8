//! Frames of another machine, over streams that break, stall, repeat and lie.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use energi_gateway::capture::remote::{RemoteAddress, RemoteSettings, RemoteSource, probe};
use energi_gateway::capture::{Event, Source, pcapng};
use jiff::{SignedDuration, Timestamp};
use support::gateway::{Sandbox, stderr};
use support::logs::Logs;
use support::network::{device_frame, number_of};

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A capture of frames with these numbers, the first at `time`, then one each second.
fn capture(time: Timestamp, numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut writer = pcapng::PcapngWriter::new(Vec::new(), None).unwrap();
    for (second, number) in (0..).zip(numbers) {
        let time = time + SignedDuration::from_secs(second);
        writer.write(time, &device_frame(number)).unwrap();
    }
    writer.into_inner()
}

fn seconds_ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn command(words: &[&str]) -> RemoteSettings {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    RemoteSettings::new(RemoteAddress::Command(words))
}

/// Reads until `done`; the numbers and times of the frames so far are its argument.
fn read(source: &mut RemoteSource, mut done: impl FnMut(&[(u32, Timestamp)]) -> bool) {
    let (mut frames, start) = (Vec::new(), Instant::now());
    while !done(&frames) {
        assert!(start.elapsed() < PATIENCE, "only these came: {frames:?}");
        if let Event::Packet(packet) = source.next().unwrap() {
            frames.push((number_of(packet.bytes), packet.time.unwrap()));
        }
    }
}

fn numbers(frames: &[(u32, Timestamp)]) -> Vec<u32> {
    frames.iter().map(|(number, _)| *number).collect()
}

/// A server that sends each of `streams` over a connection of its own. After the last byte it
/// closes the connection, or keeps it open without a word.
fn server(streams: Vec<(Vec<u8>, bool)>) -> RemoteSettings {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for (bytes, closes) in streams {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&bytes).unwrap();
            if !closes {
                // Until the other side gives it up.
                let _ = stream.read(&mut [0]);
            }
        }
    });
    RemoteSettings::new(RemoteAddress::Connect(address))
}

fn said(logs: &Logs, words: &str) -> usize {
    logs.lines().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn what_a_restarted_command_repeats_counts_once() {
    let logs = Logs::capture();
    let sandbox = Sandbox::new();
    let path = sandbox.write("five.pcapng", capture(seconds_ago(10), 0..5));
    let mut source = RemoteSource::new(command(&["cat", path.to_str().unwrap()]));
    let counters = source.counters();
    let mut frames = Vec::new();
    read(&mut source, |found| {
        frames = numbers(found);
        counters.repeated.get() >= 10
    });
    assert_eq!(frames, [0, 1, 2, 3, 4]);
    assert_eq!(counters.received.get(), 5);
    assert_eq!(said(&logs, "the stream ended"), 1, "once: {:?}", logs.lines());
}

#[test]
fn a_command_s_errors_are_shown_in_its_own_words() {
    let sandbox = Sandbox::new();
    let refuses = "echo 'root@router: Permission denied (publickey)' >&2; exit 255";
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: remote, command: [sh, -c, \"{refuses}\"]}}\nsinks: [{{type: stdout}}]\n"
        ),
    );
    let output = sandbox.run(&["check", "--connect"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(all.contains("Permission denied (publickey)") && all.contains("255"), "{all}");

    let missing = probe(&RemoteAddress::Command(vec!["/no/such/program".to_owned()]));
    assert!(missing.unwrap_err().to_string().contains("/no/such/program"));
}

#[test]
fn a_stalled_connection_is_replaced() {
    let logs = Logs::capture();
    let first = capture(seconds_ago(20), 0..3);
    // It is cut off in the middle of a packet, and stays open.
    let stalled = [&first[..], &capture(seconds_ago(5), [9])[..40]].concat();
    // What was missed is sent again, with more.
    let next = capture(Timestamp::now(), 3..6);
    let mut settings = server(vec![(stalled, false), (next, false)]);
    settings.stall_timeout = Duration::from_millis(700);
    let mut source = RemoteSource::new(settings);
    read(&mut source, |frames| numbers(frames) == [0, 1, 2, 3, 4, 5]);
    assert!(said(&logs, "no packet for") > 0, "{:?}", logs.lines());
    assert_eq!(said(&logs, "packets arrive again"), 1, "{:?}", logs.lines());
}

#[test]
fn a_damaged_stream_is_started_again() {
    let logs = Logs::capture();
    let damaged =
        [&capture(seconds_ago(9), 0..2)[..], &[6, 0, 0, 0, 7, 0, 0, 0, 1, 1, 1, 1]].concat();
    let other = b"SSH-2.0-OpenSSH_9.2\r\n\x00\x01\x02".to_vec();
    let good = capture(seconds_ago(5), 2..4);
    let mut source = RemoteSource::new(server(vec![(damaged, true), (other, true), (good, false)]));
    let counters = source.counters();
    read(&mut source, |frames| numbers(frames) == [0, 1, 2, 3]);
    for words in ["damaged after packet 2", "not a capture", "packets arrive again"] {
        assert_eq!(said(&logs, words), 1, "{words}: {:?}", logs.lines());
    }
    assert_eq!(counters.reopened.get(), 1);
}

#[test]
fn a_wrong_remote_clock_does_not_move_readings() {
    const YEAR: i64 = 365 * 86_400;
    for (age, side) in [(-YEAR, "ahead"), (56 * YEAR, "behind")] {
        let logs = Logs::capture();
        let mut source = RemoteSource::new(server(vec![(capture(seconds_ago(age), 0..2), false)]));
        let start = Timestamp::now();
        read(&mut source, |frames| {
            for (_, time) in frames {
                let off = time.duration_since(start);
                assert!(off.abs() < SignedDuration::from_mins(1), "{time} at {start}");
            }
            frames.len() == 2
        });
        assert!(said(&logs, side) > 0, "{:?}", logs.lines());
    }
}

#[test]
fn the_command_ends_with_the_gateway() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("pid");
    let script = format!("echo $$ > {}; sleep 1000 & wait", path.display());
    let mut source = RemoteSource::new(command(&["sh", "-c", &script]));
    let mut pid = String::new();
    read(&mut source, |_| {
        pid = std::fs::read_to_string(&path).unwrap_or_default();
        pid.ends_with('\n')
    });
    drop(source);
    let start = Instant::now();
    let process = format!("/proc/{}", pid.trim());
    while Path::new(&process).exists() {
        assert!(start.elapsed() < PATIENCE, "it is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_remote_capture_needs_one_address() {
    let sandbox = Sandbox::new();
    for (keys, word) in [
        ("", "command"),
        (", command: [ssh], connect: \"a:1\"", "not both"),
        (", connect: router", "host:port"),
        (", command: [\"\"]", "program"),
        (", adress: x", "adress"),
    ] {
        let yaml = format!("capture: {{type: remote{keys}}}\nsinks: [{{type: stdout}}]\n");
        sandbox.write("config.yaml", yaml);
        let output = sandbox.run(&["check"]);
        assert_eq!(output.status.code(), Some(78), "{keys}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{keys}: {}", stderr(&output));
    }
}
