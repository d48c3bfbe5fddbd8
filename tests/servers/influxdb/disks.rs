//! Cost of a full disk: nothing but what has no place on it.

use std::fs::{self, File};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::until;
use support::disk::Disk;
use support::fake_server::{FakeServer, Mood};
use support::gateway::Sandbox;
use support::process::Running;

#[test]
fn the_other_sinks_go_on_with_a_full_disk() {
    let server = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let sandbox = Sandbox::new();
    let Some(volume) = Disk::mount(sandbox.path("disk"), "size=512k") else { return };
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: simulator, speed: 600, start: 2026-01-20T10:00:00Z}}\n\
             sinks:\n  - {{type: stdout}}\n  - {{type: sqlite, path: energi.db, flush_interval: 1s}}\n  \
             - {{type: influxdb, url: \"{}\", org: home, bucket: energy, queue: {{path: disk/queue.db}}}}\n",
            server.url()
        ),
    );
    let mut command = sandbox.program(&["run"]);
    command.stdout(File::create(sandbox.path("readings.jsonl")).unwrap());
    command.stderr(File::create(sandbox.path("log")).unwrap()).stdin(Stdio::null());
    let mut gateway = Running(command.spawn().unwrap());
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    let printed = || read("readings.jsonl").lines().count();
    let stored = || -> usize {
        let history = rusqlite::Connection::open(sandbox.path("energi.db")).unwrap();
        let count = "SELECT count(*) FROM reading";
        history.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap_or_default() as usize
    };
    until("the full disk is not said", || read("log").contains("make room"));
    let before = printed();
    until("the other sinks do not go on", || printed().min(stored()) > before + 1_000);

    // What is on the disk is delivered even so, and what comes then goes past it.
    server.mood(Mood::Takes(204));
    let waiting = printed();
    server.has_taken(waiting);
    assert!(volume.remount("size=64m"));
    kill_process(Pid::from_child(&gateway.0), Signal::TERM).unwrap();
    assert!(gateway.0.wait().unwrap().success(), "{}", read("log"));
    let said = read("log");
    assert_eq!(said.matches("make room").count(), 1, "once: {said}");
    assert!(said.contains("sink available again"), "{said}");
}
