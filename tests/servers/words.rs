//! An enumeration is a word in every output: a zappi's mode.
#![cfg(all(feature = "stdout", feature = "sqlite", feature = "influxdb"))]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::influxd::Influxd;
#[cfg(feature = "postgres")]
use support::postgres::Postgres;
use support::victoria::Victoria;

const KEY: &str = "zappi/mode";

/// Words by their time in ms.
type Words = BTreeSet<(i64, String)>;

/// A gateway that has replayed the example day with the zappi's decoders on.
struct Day {
    sandbox: Sandbox,
    /// Words that it printed.
    words: Words,
    /// The points with a mode that it sent.
    points: Vec<String>,
}

impl Day {
    fn new() -> Self {
        let (sandbox, server) = (Sandbox::new(), FakeServer::start(Mood::Takes(204)));
        sandbox.write(
            "config.yaml",
            format!(
                "timezone: UTC\ncapture: {{type: replay, path: \"{}\"}}\n\
                 decoders: {{experimental: {{zappi: true}}}}\nsinks:\n  - {{type: stdout}}\n  \
                 - {{type: sqlite, path: energi.db}}\n  \
                 - {{type: influxdb, url: \"{}\", org: home, bucket: energy}}\n",
                example_day().display(),
                server.url()
            ),
        );
        let output = sandbox.run(&["run"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let words = lines.filter_map(|line| {
            let word = line["fields"][KEY].as_str()?.to_owned();
            let time: Timestamp = line["time"].as_str().unwrap().parse().unwrap();
            Some((time.as_millisecond(), word))
        });
        let words: Words = words.collect();
        let kinds: BTreeSet<_> = words.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(kinds, BTreeSet::from(["eco", "fast", "stop"]));
        let points = server.taken().into_iter().filter(|point| point.contains(KEY)).collect();
        Self { sandbox, words, points }
    }
}

#[test]
fn a_history_keeps_an_enumeration_as_text() {
    let day = Day::new();
    let history = rusqlite::Connection::open(day.sandbox.path("energi.db")).unwrap();
    let mut samples = history.prepare("SELECT time, value FROM sample WHERE key = ?").unwrap();
    let stored = samples.query_map([KEY], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(stored.collect::<Result<Words, _>>().unwrap(), day.words);

    let output = day.sandbox.run(&["history", "export"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let exported: BTreeMap<String, usize> = stdout(&output)
        .lines()
        .filter(|line| line.contains(KEY))
        .fold(BTreeMap::new(), |mut counts, line| {
            *counts.entry(line.rsplit(',').next().unwrap().to_owned()).or_default() += 1;
            counts
        });
    let expected = day.words.iter().fold(BTreeMap::new(), |mut counts, (_, word)| {
        *counts.entry(word.clone()).or_default() += 1;
        counts
    });
    assert_eq!(exported, expected);
}

#[test]
fn an_influxdb_takes_an_enumeration_as_a_string_field() {
    let Some(database) = Influxd::start() else { return };
    let day = Day::new();
    assert_eq!(day.points.len(), day.words.len());
    assert!(day.points.iter().all(|point| point.contains("zappi/mode=\"")), "{}", day.points[0]);
    database.write(&day.points.join("\n"));
    let found = database.query("SELECT \"zappi/mode\" FROM myenergi");
    let rows = found[0]["values"].as_array().unwrap().iter();
    let words = rows.map(|row| (row[0].as_i64().unwrap(), row[1].as_str().unwrap().to_owned()));
    assert_eq!(words.collect::<Words>(), day.words);
}

#[test]
fn a_database_without_strings_takes_the_rest() {
    let Some(database) = Victoria::start() else { return };
    let day = Day::new();
    database.write(&day.points.join("\n"));
    let found = database.samples();
    let times = found.iter().filter(|(key, ..)| key == "myenergi_zappi/session_kWh");
    let times: BTreeSet<_> = times.map(|(_, _, time, _)| *time).collect();
    assert_eq!(times, day.words.iter().map(|(time, _)| *time).collect());
    let words = found.iter().filter(|(key, ..)| key == "myenergi_zappi/mode");
    assert!(words.clone().count() > 0 && words.into_iter().all(|(.., value)| value == "0"));
}

#[cfg(feature = "postgres")]
#[test]
fn postgresql_keeps_an_enumeration_as_text() {
    let Some(database) = Postgres::start() else { return };
    let day = Day::new();
    day.sandbox.write(
        "postgres.yaml",
        format!(
            "timezone: UTC\ncapture: {{type: replay, path: \"{}\"}}\n\
             decoders: {{experimental: {{zappi: true}}}}\nsinks:\n  \
             - {{type: postgres, url: \"{}\", password: owner, batch_size: 5000}}\n",
            example_day().display(),
            database.url("owner")
        ),
    );
    let output = day.sandbox.run(&["run", "-c", "postgres.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = database.ask(&format!(
        "SELECT floor(extract(epoch FROM time) * 1000)::bigint, text FROM reading
         WHERE key = '{KEY}' AND value IS NULL"
    ));
    let words = rows.lines().map(|row| {
        let (time, word) = row.split_once('|').unwrap();
        (time.parse().unwrap(), word.to_owned())
    });
    assert_eq!(words.collect::<Words>(), day.words);
}
