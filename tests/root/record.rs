//! `record`: everything that is heard is in the file, whatever ends the recording.

mod refused;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{CaptureError, Event, Source};
use pcap_parser::{Block, OptionCode};
use rustix::process::{Pid, Signal, kill_process};
use support::disk::Disk;
use support::gateway::Sandbox;
use support::network::{Namespace, Network, Sender, device_frame, ethernet, number_of};
use support::process::{Running, installed};
use support::terminal::Terminal;

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

/// A recorder at work.
struct Recording {
    process: Running,
    lines: Receiver<String>,
    said: String,
}

impl Recording {
    /// Starts it at home and waits until it listens.
    fn start(sandbox: &Sandbox, home: &Namespace, arguments: &str) -> Self {
        let mut recording = Self::launch(sandbox, home, arguments);
        recording.await_word("listening");
        recording
    }

    fn launch(sandbox: &Sandbox, home: &Namespace, arguments: &str) -> Self {
        let arguments: Vec<_> =
            ["record", "-i", "eth0"].into_iter().chain(arguments.split(' ')).collect();
        let mut command = home.inside(&sandbox.program(&arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut process = Running(command.spawn().unwrap());
        let output = BufReader::new(process.0.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { process, lines, said: String::new() }
    }

    fn await_word(&mut self, word: &str) {
        while !self.said.contains(word) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.said += &line.unwrap_or_else(|_| panic!("`{word}` is not said: {}", self.said));
            self.said += "\n";
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    /// The exit code and everything that it said, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.said),
            }
        }
        (self.process.0.wait().unwrap().code(), self.said)
    }

    fn ends_well(self) -> String {
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
        said
    }
}

/// The numbers of the frames in a capture, and how it ended.
fn numbers(path: &Path) -> (Vec<u32>, Result<(), CaptureError>) {
    let mut numbers = Vec::new();
    let mut source = match ReplaySource::open(path, Speed::Max) {
        Ok(source) => source,
        Err(error) => return (numbers, Err(error)),
    };
    loop {
        match source.next() {
            Ok(Event::Packet(packet)) => {
                assert!(packet.time.is_some());
                numbers.push(number_of(packet.bytes));
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => return (numbers, Ok(())),
            Err(error) => return (numbers, Err(error)),
        }
    }
}

/// The numbers of the frames in a capture that is whole.
fn whole(path: &Path) -> Vec<u32> {
    let (numbers, end) = numbers(path);
    end.unwrap();
    numbers
}

/// The lengths of the packets, as tshark reads the file.
fn in_tshark(tshark: &Path, path: &Path) -> Vec<usize> {
    let mut command = Command::new(tshark);
    command.arg("-r").arg(path).args(["-T", "fields", "-e", "frame.len"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("cut short"), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

/// Waits until a file holds a frame with this number.
fn await_frame(path: &Path, number: u32) {
    let start = Instant::now();
    while !numbers(path).0.contains(&number) {
        assert!(start.elapsed() < PATIENCE, "frame {number} is not saved");
        thread::sleep(Duration::from_millis(50));
    }
}

fn send(sender: &mut Sender, numbers: impl IntoIterator<Item = u32>) {
    numbers.into_iter().for_each(|number| sender.send(&device_frame(number)));
}

/// The files of a rotation, in the order of their names.
fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(sandbox.path("")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn five_thousand_frames_a_second_are_all_saved() {
    const EACH: u32 = 5;
    const MILLISECONDS: u32 = 20_000;
    let Some(tshark) = installed("tshark") else { return };
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let path = sandbox.path("all.pcapng");
    let sent = EACH * MILLISECONDS;
    let recording =
        Recording::start(&sandbox, &network.home, &format!("-o all.pcapng --frames {sent}"));
    let mut sender = network.world.sender("eth0");
    let took = sender.each_millisecond(MILLISECONDS, |sender, millisecond| {
        send(sender, millisecond * EACH..(millisecond + 1) * EACH);
    });
    assert!(took < Duration::from_secs(22), "this machine is too busy to send: {took:?}");
    let said = recording.ends_well();
    assert!(said.contains("100,000 frames"), "{said}");
    assert!(said.contains("records: 0x22 100,000;"), "{said}");
    assert!(said.contains("kernel: 0") && said.contains("disk: 0"), "{said}");
    assert!(whole(&path).into_iter().eq(0..sent), "every frame, in order");
    assert_eq!(in_tshark(&tshark, &path), vec![device_frame(0).len(); sent as usize]);

    let file = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), file.len() as u64);
    let mut rest = file.as_slice();
    let mut told = Vec::new();
    while !rest.is_empty() {
        let (after, block) = pcap_parser::parse_block_le(rest).unwrap();
        rest = after;
        match block {
            Block::SectionHeader(header) => {
                for code in [OptionCode::ShbOs, OptionCode::ShbUserAppl] {
                    let option = header.options.iter().find(|option| option.code == code).unwrap();
                    told.push(option.as_str().unwrap().to_owned());
                }
            }
            Block::InterfaceDescription(description) => {
                told.push(description.if_name().unwrap().unwrap().to_owned());
            }
            Block::InterfaceStatistics(statistics) => {
                assert_eq!(statistics.isb_ifrecv().unwrap().unwrap(), u64::from(sent));
                assert_eq!(statistics.isb_ifdrop().unwrap().unwrap(), 0);
                assert!(rest.is_empty(), "at the end");
                told.push("statistics".to_owned());
            }
            _ => {}
        }
    }
    let version = concat!("energi-gateway ", env!("CARGO_PKG_VERSION"));
    assert!(told[0].starts_with("Linux "), "{told:?}");
    assert_eq!(told[1..], [version, "eth0", "statistics"]);
}

#[test]
fn a_recording_on_a_full_disk_can_be_read() {
    let Some(tshark) = installed("tshark") else { return };
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let Some(small) = Disk::mount(sandbox.path("disk"), "size=128k") else { return };
    let mut sender = network.world.sender("eth0");
    for arguments in ["-o disk/full.pcapng", "-o disk/full.pcapng --rotate 40KiB"] {
        let recording = Recording::start(&sandbox, &network.home, arguments);
        send(&mut sender, 0..4_000);
        let (code, said) = recording.end();
        assert_eq!(code, Some(74), "{arguments}: {said}");
        assert!(said.contains("No space left") && said.contains("make room"), "{said}");
        let mut files: Vec<_> =
            fs::read_dir(small.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let saved: Vec<_> = files.iter().flat_map(|file| whole(file)).collect();
        assert!(saved.iter().copied().eq(0..u32::try_from(saved.len()).unwrap()), "{saved:?}");
        // The disk has room for 1,100 or so.
        assert!(saved.len() > 1_000, "as many as fit: {}", saved.len());
        assert!(said.contains(&format!("1,{:03} frames saved", saved.len() - 1_000)), "{said}");
        let read: usize = files.iter().map(|file| in_tshark(&tshark, file).len()).sum();
        assert_eq!(read, saved.len());
        for file in files {
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn whatever_ends_a_recording_the_file_is_whole() {
    let Some(network) = Network::new() else { return };
    let mut sender = network.world.sender("eth0");
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let sandbox = Sandbox::new();
        let path = sandbox.path("eddi.pcapng");
        let recording = Recording::start(&sandbox, &network.home, "-o eddi.pcapng");
        send(&mut sender, 0..1_000);
        await_frame(&path, 999);
        if signal == Signal::KILL {
            recording.signal(signal);
            recording.end();
        } else {
            // The last ones come with the signal: they are heard, but not written yet.
            recording.signal(signal);
            let said = recording.ends_well();
            assert!(said.contains("1,000 frames saved"), "{said}");
        }
        assert!(whole(&path).into_iter().eq(0..1_000), "{signal:?}");
    }
}

#[test]
fn each_limit_ends_the_recording_by_itself() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let mut sender = network.world.sender("eth0");
    let mut record = |arguments: &str| {
        let mut recording = Recording::start(
            &sandbox,
            &network.home,
            &format!("-o eddi.pcapng --force {arguments}"),
        );
        let start = Instant::now();
        let mut number = 0;
        while recording.process.0.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < PATIENCE, "{arguments}: it does not end");
            send(&mut sender, [number]);
            number += 1;
            thread::sleep(Duration::from_millis(5));
        }
        let said = recording.ends_well();
        let saved = whole(&sandbox.path("eddi.pcapng"));
        assert!(saved.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{saved:?}");
        (saved.len(), said)
    };
    assert_eq!(record("--frames 7").0, 7);

    let (saved, said) = record("--for 1s");
    assert!((2..400).contains(&saved), "{saved} of a second: {said}");

    let (saved, said) = record("--max-size 2KiB");
    let size = fs::metadata(sandbox.path("eddi.pcapng")).unwrap().len();
    assert!((1_900..=2_048).contains(&size), "{size} bytes: {said}");
    assert!(saved > 10, "{saved}");
}

#[test]
fn a_rotation_loses_no_frame() {
    let Some(network) = Network::new() else { return };
    let mut sender = network.world.sender("eth0");
    for (rotate, most, pause) in [("4KiB", 4_096, 1), ("1s", u64::MAX, 12)] {
        let sandbox = Sandbox::new();
        let arguments = format!("-o eddi.pcapng --rotate {rotate} --frames 300");
        let recording = Recording::start(&sandbox, &network.home, &arguments);
        for number in 0..300 {
            send(&mut sender, [number]);
            thread::sleep(Duration::from_millis(pause));
        }
        let said = recording.ends_well();
        let files = files(&sandbox);
        assert!(files.len() >= 3, "{files:?}: {said}");
        for file in &files {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with("eddi-20") && name.ends_with(".pcapng"), "{name}");
            let size = fs::metadata(file).unwrap().len();
            assert!(size <= most, "{name} has {size} bytes");
        }
        let saved = files.iter().flat_map(|file| whole(file));
        assert!(saved.eq(0..300), "{rotate}: the names are in order, and so are the frames");
        assert!(said.contains("300 frames saved"), "{said}");
        assert!(said.contains(&format!(" in {} files", files.len())), "{said}");
    }
}

/// Frames of every kind: known wholly, with an unknown record, damaged, of another program.
fn kinds() -> [(&'static str, Vec<u8>); 5] {
    let confirmed = device_frame(1);
    let mut experimental = device_frame(2);
    experimental[14 + 0x18] = 0x27;
    experimental.resize(14 + 0x18 + 0x27, 0);
    let mut unknown = device_frame(3);
    unknown[14 + 0x18] = 0x21;
    unknown[14 + 0x18 + 0x21] = 0;
    let mut damaged = device_frame(4);
    damaged.extend([0x99, 1, 2, 3]);
    let foreign = [&ethernet([0xff; 6], &[0x88, 0xb5])[..], &[5; 100]].concat();
    [
        ("known", confirmed),
        ("known", experimental),
        ("unknown", unknown),
        ("unknown", damaged),
        ("unknown", foreign),
    ]
}

#[test]
fn only_the_wanted_frames_are_saved() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let mut sender = network.world.sender("eth0");
    for only in ["all", "known", "unknown"] {
        let kinds = kinds();
        let wanted: Vec<_> = kinds
            .iter()
            .filter(|(kind, _)| only == "all" || only == *kind)
            .map(|(_, frame)| frame.clone())
            .collect();
        let arguments = format!("-o {only}.pcapng --only {only} --frames {}", wanted.len());
        let recording = Recording::start(&sandbox, &network.home, &arguments);
        for (_, frame) in &kinds {
            sender.send(frame);
        }
        let said = recording.ends_well();
        let mut source =
            ReplaySource::open(&sandbox.path(&format!("{only}.pcapng")), Speed::Max).unwrap();
        for frame in wanted {
            let event = source.next().unwrap();
            assert!(
                matches!(event, Event::Packet(packet) if packet.bytes == frame),
                "{only}: {said}"
            );
        }
        assert!(matches!(source.next().unwrap(), Event::End));
        assert!((only == "known") || said.contains("not the devices' 1"), "{said}");
    }
}

#[test]
fn a_terminal_shows_a_live_count_of_frames() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::new();
    let program = sandbox.program(&["record", "-i", "eth0", "-o", "eddi.pcapng"]);
    let mut command = network.home.inside(&program);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = Running(command.stderr(terminal.output()).spawn().unwrap());
    drop(command);
    let start = Instant::now();
    let mut await_words = |words: &str| {
        let mut seen = String::new();
        while !seen.contains(words) {
            assert!(start.elapsed() < PATIENCE, "`{words}` is not shown: {seen}");
            seen = terminal.watch().unwrap_or_else(|| panic!("it has ended: {seen}"));
        }
    };
    await_words("listening");
    let mut sender = network.world.sender("eth0");
    send(&mut sender, 0..1_000);
    await_words("1,000 frames  ");
    await_words("0x22 1,000");
    send(&mut sender, 0..1_000);
    await_words("2,000 frames  ");
    kill_process(Pid::from_child(&process.0), Signal::TERM).unwrap();
    await_words("2,000 frames saved");
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn a_missing_interface_is_waited_for() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let path = sandbox.path("eddi.pcapng");
    network.home.ip("link del eth0");
    let mut recording = Recording::launch(&sandbox, &network.home, "-o eddi.pcapng");
    recording.await_word("eth0 does not exist");
    for number in [1, 2] {
        network.plug_in();
        let mut sender = network.world.sender("eth0");
        let start = Instant::now();
        while !numbers(&path).0.contains(&number) {
            assert!(start.elapsed() < PATIENCE, "the new interface is not heard");
            send(&mut sender, [number]);
            thread::sleep(Duration::from_millis(50));
        }
        network.home.ip("link del eth0");
    }
    recording.signal(Signal::TERM);
    recording.ends_well();
    whole(&path);
}

#[test]
fn standard_output_is_a_capture() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let mut sender = network.world.sender("eth0");
    let mut recording = Recording::start(&sandbox, &network.home, "-o - --frames 5");
    send(&mut sender, 0..5);
    let mut capture = Vec::new();
    recording.process.0.stdout.take().unwrap().read_to_end(&mut capture).unwrap();
    recording.ends_well();
    assert!(whole(&sandbox.write("read.pcapng", capture)).into_iter().eq(0..5));
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let mut sender = network.world.sender("eth0");
    let mut recording = Recording::start(&sandbox, &network.home, "-o -");
    drop(recording.process.0.stdout.take());
    send(&mut sender, 0..5);
    recording.ends_well();
}

#[test]
fn a_vlan_tag_is_recorded() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let recording = Recording::start(&sandbox, &network.home, "-o tagged.pcapng --frames 4");
    let mut sender = network.world.sender("eth0");
    let tags: [&[u8]; 3] = [&[0x81, 0x00, 0x60, 10], &[], &[0x88, 0xa8, 0, 20, 0x81, 0x00, 0, 10]];
    let frames = tags.map(|tags| {
        let mut frame = device_frame(1);
        frame.splice(12..12, tags.iter().copied());
        frame
    });
    for frame in &frames {
        sender.send(frame);
    }
    // What this machine sends is no device's.
    network.home.sender("eth0").send(&device_frame(9));
    sender.send(&device_frame(2));
    recording.ends_well();
    let mut source = ReplaySource::open(&sandbox.path("tagged.pcapng"), Speed::Max).unwrap();
    for expected in frames.into_iter().chain([device_frame(2)]) {
        let Event::Packet(packet) = source.next().unwrap() else { panic!("a frame is missing") };
        assert_eq!(packet.bytes, expected);
    }
}

#[test]
fn a_failed_recording_removes_only_its_own_file() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    // Replacing it fails at once, and it is no file of this run.
    let device = sandbox.path("device.pcapng");
    std::os::unix::fs::symlink("/dev/full", &device).unwrap();
    let (code, said) = Recording::launch(&sandbox, &network.home, "-o device.pcapng --force").end();
    assert_eq!(code, Some(74), "{said}");
    assert!(device.is_symlink(), "it is gone");
}
