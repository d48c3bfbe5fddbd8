//! `kill -9` and power cuts, anywhere.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rusqlite::Connection;

use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr};
use support::mosquitto::Mosquitto;
use support::process::Running;

/// Everything that stays in a history.
fn content(sandbox: &Sandbox) -> Vec<String> {
    let history = Connection::open(sandbox.path("energi.db")).unwrap();
    let check: String = history.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    ["sample", "minute", "daily_energy"]
        .iter()
        .flat_map(|table| {
            let mut query =
                history.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).unwrap();
            let columns = query.column_count();
            let rows = query.query_map([], |row| {
                (0..columns)
                    .map(|at| Ok(format!("{:?}", row.get_ref(at)?)))
                    .collect::<Result<Vec<_>, _>>()
            });
            rows.unwrap()
                .map(|row| format!("{table} {}", row.unwrap().join("|")))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_run_after_kills_makes_everything_whole() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let day = example_day();
    let config = |server: &FakeServer| {
        format!(
            "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\nsinks:\n  \
             - {{type: stdout}}\n  \
             - {{type: sqlite, path: energi.db, flush_interval: 10ms}}\n  \
             - {{type: mqtt, url: \"{}\", discovery: false}}\n  \
             - {{type: influxdb, url: \"{}\", org: home, bucket: energy, batch_size: 100}}\n",
            day.display(),
            broker.url(),
            server.url()
        )
    };
    let unharmed = FakeServer::start(Mood::Takes(204));
    let expected = Sandbox::new();
    expected.write("config.yaml", config(&unharmed));
    let run = expected.run(&["run"]);
    assert!(run.status.success(), "{}", stderr(&run));

    let server = FakeServer::start(Mood::Takes(204));
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", config(&server));
    // Of 54,000 lines: in the first of all, before a commit, in many places on the way.
    for (round, lines) in [1, 2, 50, 700, 3_000, 9_000, 16_000, 27_000, 41_000].iter().enumerate() {
        // A server that is away fills the queue; one that comes back empties it.
        let mood = if round % 2 == 0 { Mood::Refuses(503, "busy") } else { Mood::Takes(204) };
        server.mood(mood);
        let mut gateway = Running(sandbox.program(&["run"]).stderr(Stdio::null()).spawn().unwrap());
        let output = BufReader::new(gateway.0.stdout.take().unwrap());
        assert_eq!(output.lines().take(*lines).map_while(Result::ok).count(), *lines);
        gateway.0.kill().unwrap();
        gateway.0.wait().unwrap();
    }
    server.mood(Mood::Takes(204));
    let run = sandbox.run(&["run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(!stderr(&run).contains("damaged"), "{}", stderr(&run));
    assert!(content(&sandbox) == content(&expected), "the histories differ");
    let set = |server: &FakeServer| server.taken().into_iter().collect::<BTreeSet<_>>();
    assert!(set(&server) == set(&unharmed), "the points differ");
    listener.wait_for("myenergi/bridge/state", "offline");
    let newest = |topic: &str| listener.of(topic).last().cloned();
    assert!(newest("myenergi/17589669/diverted_kWh").is_some());
    let files = std::fs::read_dir(sandbox.path("")).unwrap();
    let names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("corrupt")), "{names:?}");
}
