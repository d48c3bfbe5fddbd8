//! `history send`: what a history holds becomes points, the very ones that the sink sends live.
#![cfg(all(feature = "sqlite", feature = "influxdb"))]

use std::collections::BTreeSet;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::Running;
use support::victoria::Victoria;

const TAKES: Mood = Mood::Takes(204);

/// A sandbox with the example day in its history, and a configuration that has a sink at `url`.
fn sandbox(url: &str, sinks: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let day = example_day();
    let configuration = |sinks: &str| {
        format!(
            "site: home\ntimezone: Europe/London\n\
             capture: {{type: replay, path: \"{}\"}}\n\
             devices: {{list: [{{serial: 17589669, name: Hot water}}]}}\n\
             sinks:\n  - {{type: sqlite, path: energi.db}}\n{sinks}",
            day.display()
        )
    };
    sandbox.write("history.yaml", configuration(""));
    let influxdb = format!(
        "  - {{type: influxdb, name: attic, url: \"{url}\", org: home, bucket: energy, token: t}}\n"
    );
    sandbox.write("config.yaml", configuration(&format!("{influxdb}{sinks}")));
    let output = sandbox.run(&["run", "-c", "history.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    sandbox
}

fn send(sandbox: &Sandbox, options: &str) -> Output {
    let fixed = ["history", "send", "--db", "energi.db", "-c", "config.yaml"];
    sandbox.run(&[&fixed[..], &options.split_whitespace().collect::<Vec<_>>()].concat())
}

/// Begins what [`send`] does.
fn begin(sandbox: &Sandbox) -> Child {
    let arguments = "history send --db energi.db -c config.yaml --sink attic";
    sandbox.program(&arguments.split(' ').collect::<Vec<_>>()).spawn().unwrap()
}

/// Waits until something has come about.
fn until(what: &str, mut come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !come() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_sent_later_equals_what_was_sent_live() {
    let Some(server) = Victoria::start() else { return };
    let sandbox = sandbox(&server.url(), "");
    let output = sandbox.run(&["run", "-c", "config.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let live = server.samples();
    // The counter's first value waits for a second one that may follow.
    let values = 3 * 43_200 + 9 * 7_200 + 3 * 3_600 - 1 - duplicates(&sandbox);
    assert_eq!(i64::try_from(live.len()).unwrap(), values);
    for _ in 0..2 {
        let output = send(&sandbox, "--sink attic");
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(is_sent(&output, 54_000, "2026-06-20"), "{}{said}", stdout(&output));
        assert!(server.samples() == live, "it is not what was sent live");
    }
}

/// Returns whether the answer has these points, sent from 2026-06-20 to a date.
fn is_sent(output: &Output, points: u32, to: &str) -> bool {
    let said = stdout(output);
    let dates = format!("2026-06-20 to {to}\n");
    said.starts_with(&format!("attic: {points} ")) && said.ends_with(&dates)
}

/// Returns how many values share series and millisecond with another.
fn duplicates(sandbox: &Sandbox) -> i64 {
    let connection = Connection::open(sandbox.path("energi.db")).unwrap();
    connection
        .query_row(
            "SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT time, key, value FROM sample))
             FROM sample",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn points_go_out_in_the_order_of_time() {
    let server = FakeServer::start(Mood::Wants("t"));
    let sandbox = sandbox(&server.url(), "");
    let output = send(&sandbox, "--sink attic");
    assert!(output.status.success(), "{}", stderr(&output));
    for request in server.requests() {
        assert!(request.target.starts_with("/api/v2/write?"), "{request:?}");
        assert!(request.target.contains("precision=us") && request.points <= 5_000, "{request:?}");
    }
    let taken = server.taken();
    assert_eq!(taken.len(), 54_000);
    assert_eq!(
        taken[0],
        "myenergi,name=Hot\\ water,serial=17589669,site=home \
         grid_pwr=224,gen_pwr=-4,divert_pwr=0 1781910000020370"
    );
    let times: Vec<u64> =
        taken.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert!(times.is_sorted());
}

/// Number of points in two hours of a device.
const TWO_HOURS: usize = 4_500;

/// Two hours of the day alone, and the same on the next two days, on the second of them of another
/// device too.
fn short_days(sandbox: &Sandbox) {
    let connection = Connection::open(sandbox.path("energi.db")).unwrap();
    connection
        .execute_batch(
            "DELETE FROM reading WHERE time >= 1781910000000 + 7200000;
             INSERT INTO device (serial) VALUES (20000001);
             INSERT INTO reading SELECT d.id, time + 86400000 * n, us, shape, vals
                 FROM reading r CROSS JOIN (SELECT 1 AS n UNION SELECT 2) JOIN device d
                 WHERE d.id = r.device OR n = 1;",
        )
        .unwrap();
}

#[test]
fn what_is_sent_can_be_limited() {
    let server = FakeServer::start(TAKES);
    let sandbox = sandbox(&server.url(), "");
    short_days(&sandbox);
    let sent = |options: &str| {
        let before = server.taken().len();
        let output = send(&sandbox, &format!("--sink attic {options}"));
        assert!(output.status.success(), "{}", stderr(&output));
        (stdout(&output), server.taken().len() - before)
    };
    for (options, said, points) in [
        ("", "2026-06-20 to 2026-06-22", 4 * TWO_HOURS),
        ("--from 2026-06-22", "2026-06-22 to 2026-06-22", TWO_HOURS),
        ("--to 2026-06-20", "2026-06-20 to 2026-06-20", TWO_HOURS),
        ("--from 2026-06-21 --to 2026-06-21", "2026-06-21 to 2026-06-21", 2 * TWO_HOURS),
        ("--serial 20000001", "2026-06-21 to 2026-06-21", TWO_HOURS),
    ] {
        let expected = (format!("attic: {points} points sent, {said}\n"), points);
        assert_eq!(sent(options), expected, "{options}");
    }
    let output = send(&sandbox, "--sink attic --from 2026-06-23");
    assert!(output.status.success() && stdout(&output).is_empty());
    assert!(stderr(&output).contains("2026-06-23"), "{output:?}");
}

#[test]
fn points_the_server_cannot_take_are_left_out() {
    let server = FakeServer::start(Mood::TakesAtMost(1_000));
    let sandbox = sandbox(&server.url(), "");
    short_days(&sandbox);
    let output = send(&sandbox, "--sink attic");
    assert!(output.status.success(), "{}", stderr(&output));
    let taken = server.taken();
    assert_eq!(taken.len(), 4 * TWO_HOURS);

    let poison = taken[2_000].rsplit_once(' ').unwrap().1;
    for (mood, why) in [
        (Mood::CannotRead(poison.to_owned()), "unable to parse"),
        (Mood::LeavesOut(poison.to_owned()), "partial write: dropped=1"),
    ] {
        server.mood(mood);
        let before = server.taken().len();
        let output = send(&sandbox, "--sink attic");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(is_sent(&output, 17_999, "2026-06-22"), "{}{said}", stdout(&output));
        assert!(said.contains(why), "{said}");
        assert!(said.contains("1 points"), "{said}");
        assert_eq!(server.taken().len() - before, 17_999);
    }
}

#[test]
fn a_server_that_is_busy_is_waited_for() {
    for (status, words) in [(503, "starting"), (429, "slow down")] {
        let server = FakeServer::start(Mood::Refuses(status, words));
        let sandbox = sandbox(&server.url(), "");
        short_days(&sandbox);
        let child = begin(&sandbox);
        until("it does not try", || !server.requests().is_empty());
        server.mood(TAKES);
        let output = child.wait_with_output().unwrap();
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("trying again") && said.contains(words), "{said}");
        assert_eq!(server.taken().len(), 4 * TWO_HOURS);
    }
}

#[test]
fn a_wrong_token_ends_it_at_once() {
    let server = FakeServer::start(Mood::Wants("another"));
    let sandbox = sandbox(&server.url(), "");
    let output = send(&sandbox, "--sink attic");
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("token is wrong"), "{said}");
    assert!(said.contains("--from 2026-06-20"), "{said}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_send_ended_by_a_signal_can_be_resumed() {
    let server = FakeServer::start(Mood::Slow(Duration::from_secs(2)));
    let sandbox = sandbox(&server.url(), "");
    short_days(&sandbox);
    let child = begin(&sandbox);
    // The first day is there, and of the second, which has two devices, the first batch of two.
    server.has_taken(TWO_HOURS + 5_000);
    server.mood(Mood::Hangs);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("signal") && said.contains("points were sent"), "{said}");
    assert!(said.contains("--from 2026-06-21"), "{said}");

    server.mood(TAKES);
    let output = send(&sandbox, "--sink attic --from 2026-06-21");
    assert!(output.status.success(), "{}", stderr(&output));
    let all: BTreeSet<String> = server.taken().into_iter().collect();
    assert!(all.len() == 4 * TWO_HOURS, "{} points", all.len());
}

#[test]
fn a_history_is_sent_while_the_gateway_writes_it() {
    let server = FakeServer::start(TAKES);
    let sandbox = sandbox(&server.url(), "");
    sandbox.write(
        "live.yaml",
        "capture: {type: simulator, speed: 1}\nsinks: [{type: sqlite, flush_interval: 1s, retention: {samples: 3650d}}]\n",
    );
    let _gateway = Running(sandbox.program(&["run", "-c", "live.yaml"]).spawn().unwrap());
    let live = || {
        let connection = Connection::open(sandbox.path("energi.db")).unwrap();
        let count = "SELECT count(*) FROM reading WHERE time > 1782000000000";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap_or_default()
    };
    until("it does not write", || live() > 0);
    let output = send(&sandbox, "--sink attic");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(server.taken().len() > 54_000);
}

#[test]
fn what_cannot_be_done_is_said_with_its_exit_code() {
    let nats = "  - {type: nats, url: \"nats://127.0.0.1:9\", subject: energi.home.frames}\n";
    let nats = if cfg!(feature = "nats") { nats } else { "" };
    let sandbox = sandbox("http://127.0.0.1:9", &format!("  - {{type: stdout}}\n{nats}"));
    for (options, code, said) in [
        ("--sink stdout", 64, "influxdb or postgres sink"),
        ("--sink loft", 64, ": attic"),
        #[cfg(feature = "nats")]
        ("--sink nats", 64, "takes frames"),
        ("--sink attic --from 2026-06-21 --to 2026-06-20", 64, "is after"),
        ("--sink attic --from yesterday", 64, "not a date"),
        ("--sink attic --db missing.db", 66, "missing.db: "),
        ("--sink attic --db config.yaml", 65, "SQLite"),
        ("--sink attic -c missing.yaml", 78, "missing.yaml"),
    ] {
        let given = options.split_whitespace().collect::<Vec<_>>();
        let mut arguments = vec!["history", "send"];
        for (option, value) in [("--db", "energi.db"), ("-c", "config.yaml")] {
            if !given.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        let output = sandbox.run(&[&arguments[..], &given].concat());
        assert_eq!(output.status.code(), Some(code), "{options}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{options}: {}", stderr(&output));
        assert!(stdout(&output).is_empty());
    }
}
