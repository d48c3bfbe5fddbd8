//! The queries that the project ships find, in real databases, what the gateway recorded.
#![cfg(all(feature = "sqlite", feature = "influxdb"))]
#![allow(clippy::cast_precision_loss, reason = "times of this century")]

use std::collections::{BTreeMap, BTreeSet};

use energi_sinks::influxdb::line_protocol::LineEncoder;
use energi_sinks::queue::Payload;
use energi_sinks::sqlite::StoredReadings;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::gateway::{Sandbox, example_day, root, stderr};
use support::influxd::Influxd;
use support::victoria::Victoria;

/// The example day in London, as the dashboard's time zone has it.
const MIDNIGHT: &str = "2026-06-19T23:00:00Z";
const DAY: SignedDuration = SignedDuration::from_hours(24);
const SERIAL: u32 = 17_589_669;

/// The example day, as a history.
struct Recorded {
    sandbox: Sandbox,
}

impl Recorded {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let day = example_day();
        let config = format!(
            "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\nsinks: [type: sqlite]\n",
            day.display()
        );
        sandbox.write("config.yaml", config);
        let output = sandbox.run(&["run"]);
        assert!(output.status.success(), "{}", stderr(&output));
        Self { sandbox }
    }

    /// The points that the sink sends of it, and once more for the next day.
    fn two_days(&self) -> Vec<String> {
        let names = BTreeMap::from([(SERIAL, "Hot water".to_owned())]);
        let encoder = LineEncoder::new(Some("home"), &names);
        let mut history = StoredReadings::open(&self.sandbox.path("energi.db")).unwrap();
        let mut batches = Vec::new();
        for later in [SignedDuration::ZERO, DAY] {
            let mut pages = history.pages(midnight(0)..midnight(1));
            loop {
                let page = history.next(&mut pages, 10_000).unwrap();
                if page.is_empty() {
                    break;
                }
                let mut lines = Payload::default();
                for reading in &page {
                    let time = reading.time + later;
                    encoder.point(reading.serial, time, reading.fields(), &mut lines);
                }
                batches.push(lines.text().into_owned());
            }
        }
        assert_eq!(batches.len(), 12);
        batches
    }

    fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let connection = rusqlite::Connection::open(self.sandbox.path("energi.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn energy(&self, column: &str) -> f64 {
        self.sql(&format!("SELECT {column} FROM daily_energy WHERE date = '2026-06-20'"))
    }
}

/// The start of the example day, or of one that follows it.
fn midnight(day: i32) -> Timestamp {
    MIDNIGHT.parse::<Timestamp>().unwrap() + DAY * day
}

/// A query of the dashboard as Grafana would send it: two days, shown in steps of ten minutes.
fn as_sent(query: &str) -> String {
    let (from, to) = (midnight(0).as_millisecond(), midnight(2).as_millisecond() - 1);
    let sent = query
        .replace("$timeFilter", &format!("time >= {from}ms and time <= {to}ms"))
        .replace("$__interval", "10m")
        .replace("$serial", &SERIAL.to_string())
        .replace("$name", ".*")
        .replace("$timezone", "Europe/London");
    // In a regular expression it is the end of the text.
    assert!(!sent.replace("$/", "").contains('$'), "a variable that nobody fills in: {sent}");
    sent
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(root().join("examples/grafana/energi-gateway.json"));
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// The panels' titles and queries.
fn panels(dashboard: &Value) -> Vec<(String, Vec<String>)> {
    let panels = dashboard["panels"].as_array().unwrap().iter().map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        let queries = targets.map(|target| target["query"].as_str().unwrap().to_owned());
        (panel["title"].as_str().unwrap().to_owned(), queries.collect())
    });
    panels.collect()
}

/// The rows of the only series.
fn rows(series: &[Value]) -> &Vec<Value> {
    assert_eq!(series.len(), 1, "{series:?}");
    series[0]["values"].as_array().unwrap()
}

/// A column of the only series.
fn column(series: &[Value], column: usize) -> Vec<f64> {
    rows(series).iter().map(|row| row[column].as_f64().unwrap_or_else(|| panic!("{row}"))).collect()
}

fn assert_near(found: f64, expected: f64, share: f64) {
    let far = (found - expected).abs() > expected.abs() * share + 1e-9;
    assert!(!far, "{found} where {expected} is expected");
}

#[test]
fn the_dashboard_finds_what_the_history_says() {
    let Some(influxd) = Influxd::start() else { return };
    let recorded = Recorded::new();
    for lines in recorded.two_days() {
        influxd.write(&lines);
    }
    let dashboard = dashboard();
    let mut found = BTreeMap::new();
    for (title, queries) in panels(&dashboard) {
        for (number, query) in queries.iter().enumerate() {
            let series = influxd.query(&as_sent(query));
            for row in rows(&series) {
                let known = row.as_array().unwrap().iter().all(|value| !value.is_null());
                assert!(known || title == "Power", "{title}: {row}");
            }
            found.insert((title.clone(), number), series);
        }
    }
    let series = |title: &str, number| &found[&(title.to_owned(), number)];

    // A bar a day, the day's reset of the counter between them.
    for (title, number, column_of_history, share) in [
        ("Diverted by day", 0, "diverted_kwh", 1e-9),
        // Mean powers of 10 s against the hold of each reading.
        ("Grid by day", 0, "import_kwh", 0.002),
        ("Grid by day", 1, "export_kwh", 0.002),
    ] {
        let bars = column(series(title, number), 1);
        assert_eq!(bars.len(), 2, "{title}");
        for bar in bars {
            assert_near(bar, recorded.energy(column_of_history), share);
        }
        let days = column(series(title, number), 0);
        let midnights = [midnight(0), midnight(1)].map(|time| time.as_millisecond() as f64);
        assert_eq!(days, midnights, "{title}");
    }

    let last = |key: &str| {
        recorded.sql::<f64>(&format!(
            "SELECT value FROM sample WHERE key = '{key}' ORDER BY time DESC LIMIT 1"
        ))
    };
    for (title, key) in
        [("Diverted today", "diverted_kWh"), ("Grid", "grid_pwr"), ("Generation", "gen_pwr")]
    {
        assert_eq!(column(series(title, 0), 1), [last(key)], "{title}");
    }

    for (title, key) in [("Power", "grid_pwr"), ("Voltage", "voltage"), ("Frequency", "frequency")]
    {
        let mean: f64 = recorded.sql(&format!(
            "SELECT avg(value) FROM sample WHERE key = '{key}' AND time < {}",
            midnight(0).as_millisecond() + 600_000
        ));
        assert_near(column(series(title, 0), 1)[0], mean, 1e-9);
        assert_eq!(rows(series(title, 0)).len(), 288, "{title}");
    }

    // Its owner stopped it at noon, and boosted it in the morning.
    for (flag, key) in [(1, "stopped"), (2, "boost")] {
        let up = rows(series("Flags", 0)).iter().filter(|row| row[flag] == true).count();
        assert!((1..100).contains(&up), "{key}: up in {up} steps of 288");
    }

    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let query = variable["query"].as_str().unwrap();
            let expected = if variable["name"] == "name" { "Hot water" } else { "17589669" };
            assert_eq!(rows(&influxd.query(&as_sent(query)))[0][1], expected);
        }
    }

    // The other queries that the documents show.
    let shown = documented("sql");
    assert_eq!(shown.len(), 3);
    for query in shown {
        let until = format!("'{}'", midnight(2));
        let series = influxd.query(&query.replace("now()", &until));
        let values = column(&series, 1);
        assert!(values.iter().any(|value| *value != 0.0), "{query}: {values:?}");
        if query.contains("diverted_kWh") {
            let energy = recorded.energy("diverted_kwh");
            for value in values {
                assert_near(value, energy, 1e-9);
            }
        }
    }
}

#[test]
fn devices_without_a_name_are_on_the_dashboard_too() {
    let Some(influxd) = Influxd::start() else { return };
    influxd.write("myenergi,serial=7 grid_pwr=1 1781910000000000\n");
    let dashboard = dashboard();
    let serials = dashboard["templating"]["list"].as_array().unwrap().iter();
    let query = serials.clone().find(|variable| variable["name"] == "serial").unwrap();
    let series = influxd.query(&as_sent(query["query"].as_str().unwrap()));
    assert_eq!(rows(&series)[0][1], "7");
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "name", "serial", "timezone"]));
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: an id of another panel");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}: wider than the dashboard");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title}: over another panel");
            }
        }
        let targets = panel["targets"].as_array().unwrap().iter();
        for asks in targets.chain([panel]) {
            assert_eq!(asks["datasource"]["uid"], "${datasource}", "{title}");
            assert_eq!(asks["datasource"]["type"], "influxdb", "{title}");
        }
    }
    // An id would be another dashboard's where it is imported.
    assert!(dashboard["id"].is_null());
}

/// The queries in a language that docs/sinks/influxdb.md shows, each a block of its own.
fn documented(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/sinks/influxdb.md")).unwrap();
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn victoriametrics_finds_what_the_history_says() {
    let Some(server) = Victoria::start() else { return };
    let recorded = Recorded::new();
    for lines in recorded.two_days() {
        server.write(&lines);
    }
    let queries = documented("promql");
    assert_eq!(queries.len(), 3);
    for query in queries {
        let (start, end) = (midnight(1).as_second(), midnight(2).as_second());
        let step = if query.contains("[1d") { "1d" } else { "10m" };
        let series = server.query(&query, start, end, step);
        let [series] = &series[..] else { panic!("{query}: {series:?}") };
        assert_eq!(series["metric"]["serial"], "17589669");
        let values: Vec<f64> = series["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[1].as_str().unwrap().parse().unwrap())
            .collect();
        let (expected, share) = if query.contains("diverted_kWh") {
            (recorded.energy("diverted_kwh"), 1e-9)
        } else if query.contains("clamp_min") {
            (recorded.energy("import_kwh"), 0.002)
        } else {
            assert_eq!(values.len(), 145, "{query}");
            continue;
        };
        assert_eq!(values.len(), 2, "{query}: {values:?}");
        for value in values {
            assert_near(value, expected, share);
        }
    }
}

/// Names that people may give a device, and what servers should read.
const NAMES: [(&str, &str); 9] = [
    ("Hot water, upstairs", "Hot water, upstairs"),
    ("a=b,c=d e", "a=b,c=d e"),
    ("the \"big\" one's", "the \"big\" one's"),
    ("two\nlines\tand a tab", "two lines and a tab"),
    ("C:\\attic\\", "C:/attic/"),
    ("ends with a comma,", "ends with a comma,"),
    ("Küche – 温水 🔥", "Küche – 温水 🔥"),
    ("# no comment", "# no comment"),
    (" , = ", ", ="),
];

/// A point of each device.
fn named_points() -> String {
    let names: BTreeMap<u32, String> =
        NAMES.iter().zip(1..).map(|((name, _), serial)| (serial, (*name).to_owned())).collect();
    let encoder = LineEncoder::new(Some("at=home, now"), &names);
    let mut lines = Payload::default();
    for serial in names.keys() {
        let field = [("grid_pwr", energi_decoders::Value::Integer(i64::from(*serial)))];
        assert!(encoder.point(*serial, midnight(0), field.into_iter(), &mut lines));
    }
    lines.text().into_owned()
}

#[test]
fn whatever_a_device_is_called_an_influxdb_reads_it() {
    let Some(influxd) = Influxd::start() else { return };
    influxd.write(&named_points());
    let series =
        influxd.query(r#"SELECT "grid_pwr" FROM "myenergi" GROUP BY "name", "serial", "site""#);
    assert_eq!(series.len(), NAMES.len());
    for series in series {
        let serial: usize = series["tags"]["serial"].as_str().unwrap().parse().unwrap();
        assert_eq!(series["tags"]["name"], NAMES[serial - 1].1);
        assert_eq!(series["tags"]["site"], "at=home, now");
        assert_eq!(series["values"][0][1], serial);
    }
}

#[test]
fn victoriametrics_reads_any_device_name() {
    let Some(server) = Victoria::start() else { return };
    server.write(&named_points());
    let samples = server.samples();
    assert_eq!(samples.len(), NAMES.len());
    for (key, tags, time, value) in samples {
        let tags: Value = serde_json::from_str(&tags).unwrap();
        let serial: usize = tags["serial"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            (key.as_str(), &tags["name"]),
            ("myenergi_grid_pwr", &NAMES[serial - 1].1.into())
        );
        assert_eq!(tags["site"], "at=home, now");
        assert_eq!((time, value), (midnight(0).as_millisecond(), serial.to_string()));
    }
}
