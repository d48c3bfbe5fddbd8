//! A process that may open nothing more.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::house::{House, Wishes, at_home};
use support::gateway::Desk;
use support::influx_player::{Mood, Player};
use support::mosquitto::until;
use support::process::{Running, installed};

/// From now on the gateway gets no descriptor with this number or a greater one.
fn limit(house: &House, most: u64) {
    let pid = Pid::from_child(&house.gateway.0);
    let limit = Rlimit { current: Some(most), maximum: Some(1_024) };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

#[test]
fn without_descriptors_what_is_open_goes_on_the_rest_comes_back_and_it_is_not_taken_for_dead() {
    at_home(|network| {
        let desk = Desk::new();
        let manager = UnixDatagram::bind(desk.path("notify")).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let notify = desk.path("notify");
        let service = |command: &mut Command| {
            command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "3000000");
            command.env_remove("WATCHDOG_PID");
        };
        let wishes = Wishes {
            mqtt: ", keep_alive: 1s, retain: true",
            command: Some(&service),
            ..Wishes::default()
        };
        let Some(mut house) = House::new(&network, desk, &wishes) else { return };
        house.sends(1..10);
        house.has_everywhere(1..10);

        // Those that it has stay; what it closes it cannot open again.
        limit(&house, 3);
        // Whatever had a connection needs another one.
        house.broker.kill();
        house.broker.run();
        house.listener.until_subscribed(2);
        let before = house.points();
        let port = house.player.url().rsplit(':').next().unwrap().parse().unwrap();
        house.player.ends();
        house.player = Player::start_on(port, Mood::Takes(204));
        house.sends(10..60);
        house.prints(1..60);
        house.stores(1..60);
        network.home.ip("link del eth0");
        network.plug_in();
        house.says("Too many open files");
        house.says("the interface cannot be listened on yet");
        // Told since: the thread of the sinks and that of the capture get on.
        hears_signs_of_life(&manager);

        limit(&house, 1_024);
        house.says("the interface is there; listening");
        house.sends_again();
        house.sends(60..80);
        house.prints(1..80);
        house.stores(1..80);
        house.publishes(79);
        house.waits("the points are there", || before.len() + house.points().len() >= 79);
        assert!(before.union(&house.points()).copied().eq(1..80));
        house.ends();
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
fn a_gateway_that_starts_with_too_few_descriptors_says_so_or_runs_and_never_hangs() {
    let Some(launcher) = installed("prlimit") else { return };
    let mut outcomes = Vec::new();
    for most in 3..24 {
        let desk = Desk::new();
        desk.write(
            "config.yaml",
            "capture: {type: simulator, seed: 7, speed: 60}\nshutdown_timeout: 1s\nsinks:\n  \
             - {type: stdout}\n  - {type: sqlite, path: energi.db}\n  \
             - {type: mqtt, url: \"mqtt://127.0.0.1:9\"}\n  \
             - {type: influxdb, url: \"http://127.0.0.1:9\", org: o, bucket: b}\n",
        );
        let program = desk.program(&["run"]);
        let mut command = Command::new(&launcher);
        command.arg(format!("--nofile={most}")).arg(program.get_program());
        command.args(program.get_args()).current_dir(desk.path("")).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(desk.path("log")).unwrap());
        let gateway = RefCell::new(Running(command.spawn().unwrap()));
        let log = || fs::read_to_string(desk.path("log")).unwrap();
        let has_ended = || gateway.borrow_mut().0.try_wait().unwrap().is_some();
        until("it runs or ends", || log().contains("heard a device") || has_ended());
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
