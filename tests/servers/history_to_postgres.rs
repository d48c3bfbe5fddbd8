//! `history send` to PostgreSQL: the rows that the sink writes live.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::Output;

use energi_decoders::product::Product;
use energi_gateway::capture::pcapng::PcapngWriter;
use energi_gateway::capture::simulator::{Household, Settings};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use support::gateway::{Sandbox, stderr, stdout};
use support::history::drop_packets;
use support::postgres::Postgres;

/// Frames of a household from the evening of one day into the next.
const FRAMES: usize = 12_000;

const CONFIGURATION: &str = "site: home
timezone: UTC
capture: {type: replay, path: household.pcapng}
decoders: {experimental: {status: true, eddi: true, zappi: true, harvi: true, '0x27': true}}
sinks:
  - {type: sqlite, path: energi.db, retention: {samples: 3650d}}
";

/// A server, and the history of a household.
struct Home {
    server: Postgres,
    sandbox: Sandbox,
}

impl Home {
    /// None: the test has been skipped.
    fn new() -> Option<Self> {
        let home = Self { server: Postgres::start()?, sandbox: Sandbox::new() };
        let mut settings = Settings::new("2026-06-20T23:40:00Z".parse().unwrap(), TimeZone::UTC);
        settings.of(&[Product::Eddi, Product::Zappi, Product::Harvi]);
        let mut household = Household::new(settings);
        let file = File::create(home.sandbox.path("household.pcapng")).unwrap();
        let mut capture = PcapngWriter::new(file, None).unwrap();
        for _ in 0..FRAMES {
            let (time, frame) = household.next_frame().unwrap();
            capture.write(time, frame).unwrap();
        }
        let postgres = format!(
            "  - {{type: postgres, name: cellar, url: \"{}\", password: owner, history: energi.db}}\n",
            home.server.url("owner")
        );
        home.sandbox.write("history.yaml", CONFIGURATION);
        home.sandbox.write("config.yaml", format!("{CONFIGURATION}{postgres}"));
        Some(home)
    }

    fn run(&self, configuration: &str) {
        let output = self.sandbox.run(&["run", "-c", configuration]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    fn send(&self, options: &str) -> Output {
        let fixed =
            ["history", "send", "--db", "energi.db", "-c", "config.yaml", "--sink", "cellar"];
        let options: Vec<_> = options.split_whitespace().collect();
        let output = self.sandbox.run(&[&fixed[..], &options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }

    /// Everything that the server has: a line a row.
    fn stored(&self) -> String {
        let readings = self.server.ask("SELECT * FROM reading ORDER BY serial, time, packet, key");
        let days = self.server.ask("SELECT * FROM daily_energy ORDER BY serial, date");
        format!("{readings}\n{days}")
    }

    fn clear(&self) {
        self.server.ask("TRUNCATE reading, daily_energy");
    }

    fn history(&self) -> Connection {
        Connection::open(self.sandbox.path("energi.db")).unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.history().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_sent_history_equals_what_the_sink_writes_live() {
    let Some(home) = Home::new() else { return };
    home.run("config.yaml");
    let live = home.stored();
    // Sent after it was sent live, then into empty tables, then again.
    for turn in 0..3 {
        let output = home.send("");
        assert!(home.stored() == live, "turn {turn}: the rows differ");
        let readings = home.count("SELECT count(*) FROM reading");
        let days = home.count("SELECT count(*) FROM daily_energy");
        let said = format!(
            "cellar: {readings} readings and {days} rows of daily energy sent, 2026-06-20 to 2026-06-21\n"
        );
        assert_eq!((stdout(&output), stderr(&output)), (said, String::new()));
        if turn == 0 {
            home.clear();
        }
    }
}

#[test]
fn dates_and_devices_can_be_chosen() {
    let Some(home) = Home::new() else { return };
    home.run("history.yaml");
    home.send("");
    let eddi = home.server.ask("SELECT serial FROM reading WHERE packet = '0x22' LIMIT 1");
    let counts = |condition: &str| {
        let count = |table: &str, date: &str| {
            let condition = condition.replace("DATE", date);
            home.server.ask(&format!("SELECT count(*) FROM {table} WHERE {condition}"))
        };
        (count("reading", "(time AT TIME ZONE 'UTC')::date"), count("daily_energy", "date"))
    };
    let choices = [
        ("--from 2026-06-21".to_owned(), "DATE >= '2026-06-21'".to_owned()),
        ("--to 2026-06-20".to_owned(), "DATE <= '2026-06-20'".to_owned()),
        (format!("--serial {eddi}"), format!("serial = {eddi}")),
    ];
    let wanted = choices.each_ref().map(|(_, condition)| counts(condition));
    for ((options, _), wanted) in choices.iter().zip(wanted) {
        home.clear();
        home.send(options);
        assert_eq!(counts("true"), wanted, "{options}");
        assert!(wanted.0 != "0" && wanted.1 != "0", "{options}");
    }
}

#[test]
fn days_are_sent_whose_readings_are_gone() {
    let Some(home) = Home::new() else { return };
    home.run("history.yaml");
    home.history().execute_batch("DELETE FROM reading").unwrap();
    let days = home.count("SELECT count(*) FROM daily_energy");
    let output = home.send("");
    assert!(stdout(&output).contains(&format!("0 readings and {days} rows")), "{output:?}");
    assert_eq!(home.server.ask("SELECT count(*) FROM daily_energy"), days.to_string());
}

#[test]
fn readings_of_an_older_history_are_sent_or_counted() {
    let Some(home) = Home::new() else { return };
    home.run("config.yaml");
    let live = home.stored();
    drop_packets(&home.history());
    let of_any_length = home.count(
        "SELECT count(*) FROM reading r JOIN shape s ON s.id = r.shape
         WHERE keys LIKE '[\"status/%' OR keys LIKE '[\"eddi/%' OR keys LIKE '[\"zappi/mode%'",
    );
    let known = home.count("SELECT count(*) FROM reading") - of_any_length;
    let check = |when: &str| {
        home.clear();
        let output = home.send("");
        let (out, err) = (stdout(&output), stderr(&output));
        assert!(out.starts_with(&format!("cellar: {known} readings ")), "{when}: {out}");
        let left_out = format!("{of_any_length} readings were left out");
        assert!(err.contains(&left_out) && err.contains("packet"), "{when}: {err}");
        let of_live = live.lines().collect::<BTreeSet<_>>();
        assert!(home.stored().lines().all(|line| of_live.contains(line)), "{when}");
    };
    check("not yet migrated");
    home.sandbox.write("empty.hex", "");
    let other = CONFIGURATION.replace("household.pcapng", "empty.hex");
    home.sandbox.write("empty.yaml", other);
    home.sandbox.run(&["run", "-c", "empty.yaml"]);
    assert_eq!(home.count("PRAGMA user_version"), 4);
    check("migrated");
    // The capture tells the packets.
    home.run("history.yaml");
    home.clear();
    home.send("");
    assert!(home.stored() == live, "the rows differ");
}
