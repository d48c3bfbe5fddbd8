//! Whatever a server answers, it has every point in the end and nobody else notices.

use std::collections::BTreeSet;
use std::fs;

use super::{Fed, config, nothing, time, until};
use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::process::free_port;

/// A gateway whose server changes its mood in the middle of a recording.
fn goes_on(mood: &Mood, recording: &[u8], poison: Option<i64>) {
    let server = FakeServer::start(mood.clone());
    let sandbox = Sandbox::new();
    let sinks = config("-", "max", &server.url(), "") + "  - {type: sqlite, path: energi.db}\n";
    let mut fed = Fed::start_with(sandbox, &sinks);
    let (first, rest) = recording.split_at(recording.len() / 2);
    fed.feed(first);
    until(&format!("{mood:?} holds up the other sinks"), || fed.printed().lines().count() > 5_000);
    server.mood(Mood::Takes(204));
    fed.feed(rest);
    let printed = fed.end();
    let expected: BTreeSet<_> = printed.lines().map(time).collect();
    let mut there: BTreeSet<i64> = server
        .taken()
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    there.extend(poison);
    assert!(there == expected, "{mood:?}: {} of {}", there.len(), expected.len());
    let history = rusqlite::Connection::open(fed.sandbox.path("energi.db")).unwrap();
    let stored: u32 =
        history.query_row("SELECT count(*) FROM reading", [], |row| row.get(0)).unwrap();
    assert_eq!(stored as usize, printed.lines().count(), "{mood:?}");
}

#[test]
fn every_point_arrives_whatever_the_server_answers() {
    let day = example_day();
    let decoded = Sandbox::new().run(&["decode", day.to_str().unwrap()]);
    let poison = time(stdout(&decoded).lines().nth(20).unwrap());
    let recording = fs::read(day).unwrap();
    for mood in [
        Mood::Refuses(503, "unavailable"),
        Mood::Refuses(429, "slow down"),
        Mood::Refuses(500, "internal error"),
        Mood::Refuses(401, "unauthorized access"),
        Mood::Refuses(403, "insufficient permissions for write"),
        Mood::Refuses(404, "bucket energy not found"),
        Mood::TakesAtMost(3),
        Mood::Takes(200),
        Mood::Hangs,
        Mood::Dies,
        Mood::TakesAndDies,
        Mood::TakesAndCloses,
    ] {
        goes_on(&mood, &recording, None);
    }
    for mood in [Mood::CannotRead(poison.to_string()), Mood::LeavesOut(poison.to_string())] {
        goes_on(&mood, &recording, Some(poison));
    }
}

#[test]
fn the_log_says_at_the_start_what_is_wrong() {
    let refusals = [
        (401, "unauthorized access", "token is wrong"),
        (403, "insufficient permissions for write", "may not write"),
        (404, "organization name home not found", "no such `org`"),
        (404, "bucket energy not found", "no such `bucket`"),
    ];
    let players = refusals.map(|(status, words, said)| {
        let server = FakeServer::start(Mood::Refuses(status, words));
        (server.url(), [said.to_owned(), format!("({status}: {words})")], Some(server))
    });
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let unreachable = (nobody, ["reached", "Connection refused"].map(str::to_owned), None);
    for (url, expected, _player) in players.into_iter().chain([unreachable]) {
        let sandbox = Sandbox::new();
        let file = sandbox.write("nothing.hex", nothing());
        sandbox
            .write("config.yaml", config(file.to_str().unwrap(), "max", &url, ", token: a-token"));
        let said = stderr(&sandbox.run(&["run"]));
        let is_said = |text: &str| expected.iter().all(|words| text.contains(words));
        let line = said.lines().find(|line| is_said(line));
        let line = line.unwrap_or_else(|| panic!("{expected:?}: {said}"));
        assert!(
            line.contains("WARN") && line.contains("points wait in influxdb.queue.db"),
            "{line}"
        );
        let check = sandbox.run(&["check", "--connect"]);
        assert!(is_said(&stdout(&check)), "{}{}", stdout(&check), stderr(&check));
    }
}
