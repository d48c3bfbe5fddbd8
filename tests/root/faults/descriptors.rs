//! A process that may open nothing more.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::test_gateway::{TestGateway, Wishes, at_home};
use support::fake_server::{FakeServer, Mood};
use support::gateway::Sandbox;
use support::mosquitto::until;
use support::process::{Running, installed};

/// Limits the gateway's descriptors to numbers below this one.
fn limit(gateway: &TestGateway, most: u64) {
    let pid = Pid::from_child(&gateway.process.0);
    let limit = Rlimit { current: Some(most), maximum: Some(1_024) };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

#[test]
fn a_gateway_recovers_from_exhausted_descriptors() {
    at_home(|network| {
        let sandbox = Sandbox::new();
        let manager = UnixDatagram::bind(sandbox.path("notify")).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let notify = sandbox.path("notify");
        let service = |command: &mut Command| {
            command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "3000000");
            command.env_remove("WATCHDOG_PID");
        };
        let wishes = Wishes {
            mqtt: ", keep_alive: 1s, retain: true",
            command: Some(&service),
            ..Wishes::default()
        };
        let Some(mut gateway) = TestGateway::new(&network, sandbox, &wishes) else { return };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);

        // Those that it has stay; what it closes it cannot open again.
        limit(&gateway, 3);
        // Whatever had a connection needs another one.
        gateway.broker.kill();
        gateway.broker.run();
        gateway.listener.until_subscribed(2);
        let before = gateway.points();
        let port = gateway.server.url().rsplit(':').next().unwrap().parse().unwrap();
        gateway.server.ends();
        gateway.server = FakeServer::start_on(port, Mood::Takes(204));
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.stores(1..60);
        network.home.ip("link del eth0");
        network.plug_in();
        gateway.says("Too many open files");
        gateway.says("cannot capture");
        // Told since: the thread of the sinks and that of the capture get on.
        hears_signs_of_life(&manager);

        limit(&gateway, 1_024);
        gateway.says("interface is available");
        gateway.sends_again();
        gateway.sends(60..80);
        gateway.prints(1..80);
        gateway.stores(1..80);
        gateway.publishes(79);
        gateway.waits("the points are there", || before.len() + gateway.points().len() >= 79);
        assert!(before.union(&gateway.points()).copied().eq(1..80));
        gateway.ends();
    });
}

/// Waits for three signs of life that were not given before.
fn hears_signs_of_life(manager: &UnixDatagram) {
    let mut heard = [0; 4096];
    manager.set_nonblocking(true).unwrap();
    while manager.recv(&mut heard).is_ok() {}
    manager.set_nonblocking(false).unwrap();
    let mut signs = 0;
    while signs < 3 {
        match manager.recv(&mut heard) {
            Ok(length) if heard[..length].starts_with(b"WATCHDOG=1") => signs += 1,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no sign of life: {error}"),
        }
    }
}

#[test]
fn with_too_few_descriptors_a_start_never_hangs() {
    let Some(launcher) = installed("prlimit") else { return };
    let mut outcomes = Vec::new();
    for most in 3..24 {
        let sandbox = Sandbox::new();
        sandbox.write(
            "config.yaml",
            "capture: {type: simulator, seed: 7, speed: 60}\nshutdown_timeout: 1s\nsinks:\n  \
             - {type: stdout}\n  - {type: sqlite, path: energi.db}\n  \
             - {type: mqtt, url: \"mqtt://127.0.0.1:9\"}\n  \
             - {type: influxdb, url: \"http://127.0.0.1:9\", org: o, bucket: b}\n",
        );
        let program = sandbox.program(&["run"]);
        let mut command = Command::new(&launcher);
        command.arg(format!("--nofile={most}")).arg(program.get_program());
        command.args(program.get_args()).current_dir(sandbox.path("")).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(sandbox.path("log")).unwrap());
        let gateway = RefCell::new(Running(command.spawn().unwrap()));
        let log = || fs::read_to_string(sandbox.path("log")).unwrap();
        let has_ended = || gateway.borrow_mut().0.try_wait().unwrap().is_some();
        until("it runs or ends", || log().contains("a device is received") || has_ended());
        let runs = !has_ended();
        if runs {
            let pid = Pid::from_child(&gateway.borrow().0);
            kill_process(pid, Signal::TERM).unwrap();
            until("it ends when it is told to", has_ended);
        }
        let status = gateway.borrow_mut().0.wait().unwrap();
        assert_eq!(status.success(), runs, "{most}: {}", log());
        // With fewer than it takes to load the program, its loader says so, by number.
        let is_said = ["Too many open files", "Error 24"].iter().any(|why| log().contains(why));
        assert!(runs || is_said, "{most}: {}", log());
        outcomes.push(runs);
    }
    assert!(outcomes.is_sorted() && !outcomes[0] && outcomes[20], "{outcomes:?}");
}
