//! The gateway as a service: what it tells the manager that started it (`sd_notify(3)`).

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::gateway::Sandbox;
use support::network::{Network, device_frame};
use support::process::{Running, installed};
use support::skip::skip;

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that the service manager of these tests waits for a sign of life.
const WATCHDOG: Duration = Duration::from_millis(1500);

const SIMULATOR: &str =
    "capture: {type: simulator, seed: 7, speed: 1}\nsinks:\n  - {type: stdout}\n";

/// A service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &std::path::Path) -> Self {
        Self::listening(UnixDatagram::bind(path).unwrap())
    }

    fn listening(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self(socket)
    }

    /// Returns what it is told next, a word a line; nothing where that takes more than a moment.
    fn hears(&self) -> Vec<String> {
        let mut heard = [0; 4096];
        match self.0.recv(&mut heard) {
            Ok(length) => {
                str::from_utf8(&heard[..length]).unwrap().lines().map(str::to_owned).collect()
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Vec::new()
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for a word that `wanted` takes, and gives those until then.
    fn waits_for(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let (start, mut heard) = (Instant::now(), Vec::new());
        loop {
            heard.extend(self.hears());
            if heard.iter().any(|word| wanted(word)) {
                return heard;
            }
            assert!(start.elapsed() < PATIENCE, "not heard; heard: {heard:?}");
        }
    }

    fn waits_for_word(&self, word: &str) -> Vec<String> {
        self.waits_for(|heard| heard == word)
    }

    /// Signs of life keep coming: three in a row, none older than what was received before.
    fn hears_it_live(&self) {
        self.forgets();
        (0..3).for_each(|_| drop(self.waits_for_word("WATCHDOG=1")));
    }

    /// Asserts that there is no sign of life for twice the time that the manager waits for one.
    fn hears_no_life(&self) {
        let start = Instant::now();
        while start.elapsed() < 2 * WATCHDOG {
            let heard = self.hears();
            assert!(!heard.contains(&"WATCHDOG=1".to_owned()), "{heard:?}");
        }
    }

    /// Waits until there was no sign of life for the time that it waits for one.
    fn waits_for_silence(&self) {
        let (start, mut last) = (Instant::now(), Instant::now());
        while last.elapsed() < WATCHDOG {
            if self.hears().contains(&"WATCHDOG=1".to_owned()) {
                last = Instant::now();
            }
            assert!(start.elapsed() < PATIENCE, "it still gives signs of life");
        }
    }

    /// Takes what waits to be received.
    fn forgets(&self) {
        while !self.hears().is_empty() {}
    }
}

/// The program as a service: its environment says where the manager listens.
fn as_service(command: &mut Command, address: &str) -> Running {
    command.env("NOTIFY_SOCKET", address);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()).env_remove("WATCHDOG_PID");
    // Nobody reads it, and it must not fill.
    command.stdout(Stdio::null());
    Running(command.spawn().unwrap())
}

fn stop(service: &mut Running) {
    kill_process(Pid::from_child(&service.0), Signal::TERM).unwrap();
}

#[test]
fn systemd_is_told_the_state_of_the_service() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        "capture: {type: live, interface: eth0}\nshutdown_timeout: 3s\nsinks:\n  \
         - {type: sqlite, path: energi.db}\n  - {type: stdout}\n",
    );
    let manager = Manager::at(&sandbox.path("notify"));
    let program = sandbox.program(&["run"]);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", network.home.name()]).arg(program.get_program());
    command.args(program.get_args()).current_dir(sandbox.path("")).stderr(Stdio::null());
    let mut service = as_service(&mut command, sandbox.path("notify").to_str().unwrap());

    let start = Instant::now();
    let until_ready = manager.waits_for_word("READY=1");
    assert!(!until_ready.iter().any(|word| word.starts_with("STATUS=")), "{until_ready:?}");
    let status = |words: &'static str| {
        manager.waits_for(|word| word.starts_with("STATUS=") && word.contains(words))
    };
    status("devices: 0, readings: 0; sinks: sqlite: 0 received, 0 delivered; stdout: 0");
    manager.hears_it_live();

    let mut sender = network.world.sender("eth0");
    let mut frame = device_frame(0);
    frame[14 + 0x2E..][..4].copy_from_slice(&17_589_669_u32.to_le_bytes());
    (0..3).for_each(|_| sender.send(&frame));
    let mut heard = status("devices: 1, readings: 3; sinks: sqlite: ");

    network.home.ip("link del eth0");
    heard.extend(status("waiting for the interface; devices: 1, readings: 3; sinks: sqlite: 3"));
    let statuses = heard.iter().filter(|word| word.starts_with("STATUS=")).count();
    assert!(statuses as u64 <= start.elapsed().as_secs() / 5 + 1, "not more than people read");
    manager.hears_it_live();

    stop(&mut service);
    let end = manager.waits_for_word("STOPPING=1");
    assert!(end.contains(&"EXTEND_TIMEOUT_USEC=5000000".to_owned()), "{end:?}");
    assert!(service.0.wait().unwrap().success());
}

/// `strace` holds one thread still: stopped itself, it does not let the thread go on from its next
/// system call. `None`, with a word on why, where that cannot be had.
struct Held(Running);

impl Held {
    fn thread(process: &Running, named: &str) -> Option<Self> {
        let tracer = installed("strace")?;
        let tasks = fs::read_dir(format!("/proc/{}/task", process.0.id())).unwrap();
        let thread = tasks
            .map(|task| task.unwrap().path())
            .find(|task| fs::read_to_string(task.join("comm")).unwrap().trim() == named)
            .unwrap();
        let number = thread.file_name().unwrap().to_str().unwrap();
        let mut tracer = Command::new(tracer);
        tracer.args(["--trace=none", "--quiet=none", "-p", number]).stderr(Stdio::piped());
        let mut tracer = Running(tracer.spawn().unwrap());
        let mut said = BufReader::new(tracer.0.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        if !line.contains("attached") {
            skip(&format!("it traces a process, which this machine does not allow: {line}"));
            return None;
        }
        kill_process(Pid::from_child(&tracer.0), Signal::STOP).unwrap();
        Some(Self(tracer))
    }

    fn let_go(self) {
        kill_process(Pid::from_child(&self.0.0), Signal::CONT).unwrap();
    }
}

#[test]
fn a_stuck_thread_gives_no_sign_of_life() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", SIMULATOR);
    // An abstract address, as systemd may give one too.
    let name = format!("energi-notify-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap());
    let manager = Manager::listening(socket.unwrap());
    let mut service =
        as_service(sandbox.program(&["run"]).stderr(Stdio::null()), &format!("@{name}"));
    manager.waits_for_word("READY=1");
    manager.hears_it_live();
    for thread in ["capture", "energi-gateway"] {
        let Some(held) = Held::thread(&service, thread) else { return };
        // One that was on its way, or due while the thread still went.
        manager.waits_for_silence();
        manager.hears_no_life();
        held.let_go();
        manager.hears_it_live();
    }
    stop(&mut service);
    manager.waits_for_word("STOPPING=1");
}

#[test]
fn a_silent_stream_is_not_stuck() {
    let sandbox = Sandbox::new();
    sandbox
        .write("config.yaml", "capture: {type: replay, path: \"-\"}\nsinks:\n  - {type: stdout}\n");
    let manager = Manager::at(&sandbox.path("notify"));
    let mut program = sandbox.program(&["run"]);
    program.stdin(Stdio::piped()).stderr(Stdio::null());
    let _service = as_service(&mut program, sandbox.path("notify").to_str().unwrap());
    manager.waits_for_word("READY=1");
    manager.hears_it_live();
}
