//! End of the program, and how little it says meanwhile: its pipes, its signals, its log.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::Running;

/// Time that a machine with other things to do may add to any other.
const SLACK: Duration = Duration::from_secs(4);

/// Longest wait of a test for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program whose standard error is read as it comes.
struct Session {
    process: Running,
    said: Receiver<String>,
    stdin: Option<ChildStdin>,
    /// `None` once its reader has gone.
    stdout: Option<BufReader<ChildStdout>>,
}

impl Session {
    fn start(command: &mut Command) -> Self {
        let mut process = Running(command.spawn().unwrap());
        let stderr = BufReader::new(process.0.stderr.take().unwrap());
        let (send, said) = mpsc::channel();
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let stdin = process.0.stdin.take();
        let stdout = process.0.stdout.take().map(BufReader::new);
        Self { process, said, stdin, stdout }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// Reads a line and waits until the pipe of its standard output is full. How many bytes a full
    /// pipe holds depends on how they were written, so its writing end is asked.
    fn is_stuck(&mut self) {
        self.line();
        let pipe = format!("/proc/{}/fd/1", self.process.0.id());
        let pipe = OpenOptions::new().write(true).open(pipe).unwrap();
        let mut room = [PollFd::new(&pipe, PollFlags::OUT)];
        let begun = Instant::now();
        while poll(&mut room, Some(&Timespec::default())).unwrap() > 0 {
            assert!(begun.elapsed() < PATIENCE, "the pipe does not fill");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes the pipe of its standard output.
    fn read_no_more(self) -> Self {
        Self { stdout: None, ..self }
    }

    /// Waits until it says something on standard error.
    fn says(&self, wanted: &str) {
        while !self.said.recv_timeout(PATIENCE).unwrap().contains(wanted) {}
    }

    /// Returns how it ends, what else it says until then, and how long that takes. Its standard
    /// output is not read.
    fn ends(mut self) -> (ExitStatus, String, Duration) {
        let (asked, mut said) = (Instant::now(), String::new());
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => said = said + &line + "\n",
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {said}"),
            }
        }
        (self.process.0.wait().unwrap(), said, asked.elapsed())
    }
}

fn replay(path: &str, keys: &str, sinks: &str) -> String {
    format!("capture: {{type: replay, path: \"{path}\"}}\n{keys}\nsinks:\n{sinks}")
}

fn replay_example(keys: &str, sinks: &str) -> String {
    replay(example_day().to_str().unwrap(), keys, sinks)
}

const STDOUT: &str = "  - {type: stdout}\n";

/// The header of a pcap file of Ethernet frames.
const PCAP: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];

/// A frame of the eddi as a pcap file holds it: 300 W from the grid.
fn captured(ethertype: [u8; 2], magic: u8) -> Vec<u8> {
    let mut frame = vec![0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0, 0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5];
    frame.extend(ethertype);
    frame.extend([magic, 0xda, 0xe9, 0xf8]);
    frame.extend([0; 20]);
    frame.extend([0x22, 0x53, 0x10, 0x35, 0, 0xff, 0x2c, 0x01]);
    frame.extend([0; 14]);
    frame.extend(17_589_669_u32.to_le_bytes());
    frame.extend([0; 8]);
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    [&[0x80, 0x3a, 0x36, 0x6a, 0, 0, 0, 0], &length[..], &length, &frame].concat()
}

fn whole() -> Vec<u8> {
    captured([0x88, 0xb5], 0xcb)
}

/// Returns what it says that is more than information.
fn complaints(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect()
}

#[test]
fn a_silent_stream_does_not_delay_the_end() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay("-", "", STDOUT));
    let mut session = Session::start(sandbox.program(&["run"]).stdin(Stdio::piped()));
    session.stdin.as_ref().unwrap().write_all(&[&PCAP[..], &whole()].concat()).unwrap();
    assert!(session.line().contains("\"grid_pwr\":300"));
    session.signal(Signal::TERM);
    let (status, said, took) = session.ends();
    assert!(status.success() && complaints(&said).is_empty(), "{said}");
    assert!(said.contains("1 received, 1 delivered"), "{said}");
    assert!(took < SLACK, "{took:?}");
}

#[test]
fn the_readings_left_after_the_timeout_are_counted() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("shutdown_timeout: 1s", STDOUT));
    let mut session = Session::start(&mut sandbox.program(&["run"]));
    session.is_stuck();
    // As a script does that forwards what its process group got too.
    session.signal(Signal::TERM);
    session.signal(Signal::INT);
    let (status, said, took) = session.ends();
    assert!(status.success(), "{said}");
    let [complaint] = complaints(&said)[..] else { panic!("{said}") };
    assert!(complaint.contains("sink=\"stdout\" readings="), "{said}");
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(1) + SLACK).contains(&took),
        "{took:?}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("shutdown_timeout: 10m", STDOUT));
    let mut session = Session::start(&mut sandbox.program(&["run"]));
    session.is_stuck();
    let (asked, mut said) = (Instant::now(), String::new());
    while !said.contains("not delivered") {
        assert!(asked.elapsed() < SLACK, "{said}");
        session.signal(Signal::INT);
        said.extend(session.said.recv_timeout(Duration::from_millis(50)));
    }
    assert!(said.contains("second signal"), "{said}");
    let (status, rest, _) = session.ends();
    assert!(status.success(), "{said}{rest}");
}

#[test]
fn a_log_that_nobody_reads_costs_no_reading() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("", STDOUT));
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    let output = sandbox.program(&["run"]).stderr(log).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(stdout(&output).lines().count(), 54_000);
}

#[test]
fn ctrl_c_of_a_whole_pipe_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay("-", "", STDOUT));
    let mut session = Session::start(sandbox.program(&["run"]).stdin(Stdio::piped()));
    let cut = &whole()[..30];
    session.stdin.as_ref().unwrap().write_all(&[&PCAP[..], &whole(), cut].concat()).unwrap();
    session.line();
    session.signal(Signal::INT);
    // That the signal has arrived is said nowhere; the writer goes within the time that a capture
    // gets to end.
    thread::sleep(Duration::from_millis(100));
    session.stdin = None;
    let (status, said, took) = session.ends();
    assert!(status.success(), "{said}");
    let [complaint] = complaints(&said)[..] else { panic!("{said}") };
    assert!(complaint.contains("WARN") && complaint.contains("cut off after packet 1"), "{said}");
    assert!(took < SLACK, "{took:?}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("", STDOUT));
    let day = example_day();
    for arguments in [&["run"][..], &["decode", day.to_str().unwrap()]] {
        let mut session = Session::start(&mut sandbox.program(arguments));
        session.line();
        let (status, said, took) = session.read_no_more().ends();
        assert!(status.success() && complaints(&said).is_empty(), "{arguments:?}: {said}");
        assert!(took < SLACK, "{took:?}");
    }
}

#[test]
fn two_outputs_on_one_stream_keep_whole_lines() {
    let sandbox = Sandbox::new();
    let sinks = "  - {type: stdout, name: one}\n  - {type: stdout, name: two}\n";
    sandbox.write("config.yaml", replay_example("", sinks));
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2 * 54_000);
    lines.sort_unstable();
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("{\"time\":\"") && pair[0].ends_with("}}"), "{}", pair[0]);
        assert_eq!(pair[0], pair[1]);
    }
}

#[test]
fn a_dollar_in_the_configuration_reads_back_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("site: \"a $${HOME}\"", STDOUT));
    let first = sandbox.run(&["check", "--print"]);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stdout(&first).contains("a $${HOME}"), "{}", stdout(&first));
    sandbox.write("config.yaml", &first.stdout);
    assert_eq!(stdout(&sandbox.run(&["check", "--print"])), stdout(&first));
}

#[test]
fn checking_a_named_pipe_does_not_wait_for_its_writer() {
    let sandbox = Sandbox::new();
    assert!(Command::new("mkfifo").arg(sandbox.path("frames")).status().unwrap().success());
    sandbox.write("config.yaml", replay("frames", "", STDOUT));
    let mut session = Session::start(&mut sandbox.program(&["check", "--connect"]));
    let answers = session.stdout.take().unwrap();
    let (status, said, took) = session.ends();
    let text = std::io::read_to_string(answers).unwrap();
    assert!(status.success(), "{said}{text}");
    assert!(text.contains("capture: ok, frames is a stream"), "{text}");
    assert!(took < SLACK, "{took:?}");
}

#[test]
fn check_reads_nothing_of_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay("-", "", STDOUT));
    let output = sandbox.run_with_input(&["check", "--connect"], b"no capture");
    let text = stdout(&output);
    assert!(output.status.success(), "{}{text}", stderr(&output));
    assert!(text.contains("capture: ok, standard input is read when the gateway runs"), "{text}");
}

#[test]
fn a_declared_decoder_comes_after_the_confirmed_one() {
    let sandbox = Sandbox::new();
    let custom = "decoders:\n  custom:\n    - {length: \"0x1F\", name: mine, fields: \
                  [{key: mine, offset: \"0x22\", type: u16}]}";
    sandbox.write("mine.yaml", replay_example(custom, STDOUT));
    let mut record = vec![0x1F, 0x53, 0x10, 0x35, 0, 0xff];
    record.extend(17_589_669_u32.to_le_bytes());
    record.extend([0x88, 0x13]);
    record.resize(0x1F, 0);
    let payload = [&[0xcb, 0xda, 0xe9, 0xf8][..], &[0; 20], &record].concat();
    sandbox.write("frame.bin", payload);
    let arguments = ["decode", "-c", "mine.yaml", "frame.bin"];
    let output = sandbox.run(&arguments);
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    let [built_in, own] = lines[..] else { panic!("{text}{}", stderr(&output)) };
    assert!(built_in.contains("\"frequency\":50.0"), "{text}");
    assert!(own.contains("mine\":5000"), "{text}");
}

#[test]
fn many_frames_of_others_make_a_few_log_lines() {
    let sandbox = Sandbox::new();
    let mut foreign = PCAP.to_vec();
    let others = [captured([0x08, 0x00], 0xcb), captured([0x88, 0xb5], 0xff)].concat();
    (0..50_000).for_each(|_| foreign.extend(&others));
    sandbox.write("foreign.pcap", foreign);
    sandbox.write("config.yaml", replay("foreign.pcap", "", STDOUT));
    for arguments in [&["run"][..], &["decode", "foreign.pcap"]] {
        let output = sandbox.run(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).lines().count() <= 5, "{}", stderr(&output));
    }
}

#[test]
fn logging_goes_on_with_a_wrong_filter() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("", STDOUT));
    let output = sandbox.program(&["run"]).env("RUST_LOG", "info,sinks=loud").output().unwrap();
    assert!(output.status.success());
    let said = stderr(&output);
    let [complaint] = complaints(&said)[..] else { panic!("{said}") };
    assert!(complaint.contains("RUST_LOG=info,sinks=loud: "), "{said}");
    assert!(complaint.contains("`info`"), "{said}");
    assert!(said.contains("serial=17589669"), "{said}");
}

#[test]
fn a_history_that_cannot_be_opened_delays_no_end() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "capture: {type: simulator, speed: 60}\nshutdown_timeout: 1s\n\
         sinks: [{type: sqlite, path: missing/energi.db}]\n",
    );
    let session = Session::start(&mut sandbox.program(&["run"]));
    session.says("trying again");
    session.signal(Signal::TERM);
    let (status, said, took) = session.ends();
    assert!(status.success(), "{said}");
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
}

#[test]
fn the_start_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("", STDOUT));
    let said = stderr(&sandbox.run(&["run"]));
    let starts: Vec<_> = said.lines().filter(|line| line.contains("version=")).collect();
    let [start] = starts[..] else { panic!("{said}") };
    for part in ["config=./config.yaml", "source=", "eddi-day", "sinks=\"stdout\""] {
        assert!(start.contains(part), "no {part} in {start}");
    }
    assert!(!said.contains("DEBUG"), "{said}");
}

#[test]
fn debug_shows_each_step_of_a_run() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay_example("", STDOUT));
    let output = sandbox.program(&["run"]).env("RUST_LOG", "debug").output().unwrap();
    let said = stderr(&output);
    for part in ["file=./config.yaml", "key=\"diverted_kWh\"", "batch"] {
        let is_shown = |line: &str| line.contains("DEBUG") && line.contains(part);
        assert!(said.lines().any(is_shown), "no {part} in {said}");
    }
}

#[test]
fn a_failure_is_shown_whatever_the_log_filter_is() {
    let sandbox = Sandbox::new();
    for filter in ["myapp=debug", "off", "error", "verbose", "energi_gateway=loud"] {
        let output = sandbox.program(&["run", "-c", "nope.yaml"]).env("RUST_LOG", filter).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(78));
        assert!(stderr(&output).contains("nope.yaml"), "{filter}: {}", stderr(&output));
        let invalid = matches!(filter, "verbose" | "energi_gateway=loud");
        assert_eq!(stderr(&output).contains("RUST_LOG="), invalid, "{}", stderr(&output));
    }
}

#[test]
fn a_closed_terminal_ends_the_gateway_in_order() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", format!("capture: {{type: simulator}}\nsinks:\n{STDOUT}"));
    let mut session = Session::start(&mut sandbox.program(&["run"]));
    session.line();
    session.signal(Signal::HUP);
    let (status, said, _) = session.ends();
    assert!(status.success() && said.contains("delivered"), "{status} {said}");

    let program = support::gateway::binary();
    let mut nohup = Command::new("nohup");
    nohup.arg(program).arg("run").current_dir(sandbox.path(""));
    nohup.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut session = Session::start(&mut nohup);
    session.line();
    session.signal(Signal::HUP);
    session.line();
    session.line();
    session.signal(Signal::TERM);
    let (status, said, _) = session.ends();
    assert!(status.success() && said.contains("delivered"), "{status} {said}");
}
