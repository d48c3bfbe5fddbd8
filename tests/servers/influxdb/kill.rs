//! Cost of `kill -9`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::{config, nothing, time};
use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::{Running, free_port};

/// Runs a gateway at sixty times the speed for a while, kills it, and lets a second run deliver
/// what it left. Returns how much of the recording is missing, in its own time.
fn killed(mood: Option<Mood>) -> Duration {
    let poison = match &mood {
        Some(Mood::CannotRead(poison) | Mood::LeavesOut(poison)) => poison.parse().ok(),
        _ => None,
    };
    let server = mood.map(FakeServer::start);
    let port = free_port();
    let url = server.as_ref().map_or_else(|| format!("http://127.0.0.1:{port}"), FakeServer::url);
    let sandbox = Sandbox::new();
    let day = example_day();
    sandbox.write("config.yaml", config(day.to_str().unwrap(), "60", &url, ", flush_interval: 1s"));
    let mut gateway = Running(sandbox.program(&["run"]).stderr(Stdio::null()).spawn().unwrap());
    let mut output = BufReader::new(gateway.0.stdout.take().unwrap()).lines();
    let mut seen = vec![output.next().unwrap().unwrap()];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        seen.push(output.next().unwrap().unwrap());
    }
    gateway.0.kill().unwrap();
    gateway.0.wait().unwrap();

    let server = server.unwrap_or_else(|| FakeServer::start_on(port, Mood::Takes(204)));
    server.mood(Mood::Takes(204));
    let file = sandbox.write("nothing.hex", nothing());
    sandbox.write("config.yaml", config(file.to_str().unwrap(), "max", &url, ""));
    let rest = sandbox.run(&["run"]);
    assert!(rest.status.success(), "{}", stderr(&rest));

    let there: BTreeSet<i64> = server
        .taken()
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    let times: Vec<_> = seen.iter().map(|line| time(line)).collect();
    let first_missing = times.iter().find(|time| !there.contains(time) && Some(**time) != poison);
    let last = times.last().unwrap();
    Duration::from_micros(first_missing.map_or(0, |first| last - first).unsigned_abs())
}

#[test]
fn kill_9_costs_at_most_a_flush_interval() {
    // A point of the day's first minute.
    let day = Sandbox::new().run(&["decode", example_day().to_str().unwrap()]);
    let time = time(stdout(&day).lines().nth(20).unwrap());
    let moods = [
        Some(Mood::CannotRead(time.to_string())),
        Some(Mood::LeavesOut(time.to_string())),
        None,
        Some(Mood::Takes(204)),
        Some(Mood::Takes(200)),
        Some(Mood::Refuses(503, "unavailable")),
        Some(Mood::Refuses(429, "slow down")),
        Some(Mood::Refuses(401, "unauthorized access")),
        Some(Mood::TakesAtMost(3)),
        Some(Mood::Hangs),
    ];
    thread::scope(|scope| {
        let runs = moods.map(|mood| (mood.clone(), scope.spawn(move || killed(mood))));
        for (mood, run) in runs {
            let missing = run.join().unwrap();
            // A second at sixty times the speed, and three for the machine's own pauses.
            assert!(missing <= Duration::from_mins(4), "{mood:?}: {missing:?} is missing");
        }
    });
}

#[test]
fn kill_9_while_the_queue_is_sent_costs_nothing() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    sandbox.write("config.yaml", config(day.to_str().unwrap(), "max", &url, ""));
    let run = sandbox.run(&["run"]);
    assert_eq!(run.status.code(), Some(69), "{}", stderr(&run));
    let expected: Vec<_> = stdout(&run).lines().map(time).collect();

    let file = sandbox.write("nothing.hex", nothing());
    sandbox.write("config.yaml", config(file.to_str().unwrap(), "max", &url, ""));
    let server = FakeServer::start_on(port, Mood::Slow(Duration::from_millis(20)));
    for reached in [2_000, 9_000, 17_000, 30_000] {
        let mut gateway = Running(sandbox.program(&["run"]).stderr(Stdio::null()).spawn().unwrap());
        server.has_taken(reached);
        gateway.0.kill().unwrap();
        gateway.0.wait().unwrap();
    }
    let rest = sandbox.run(&["run"]);
    assert!(rest.status.success(), "{}", stderr(&rest));
    let mut seen = BTreeSet::new();
    let taken: Vec<i64> = server
        .taken()
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .filter(|time| seen.insert(*time))
        .collect();
    assert!(taken == expected, "{} of {}, oldest first", taken.len(), expected.len());
}
