//! A decoder that is written in YAML and nowhere else appears in every output alike.
#![cfg(all(feature = "sqlite", feature = "mqtt", feature = "influxdb"))]

use std::fs::File;

use energi_gateway::capture::pcapng;
use energi_gateway::capture::simulator::{Household, Rate, Settings};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::gateway::{Sandbox, stderr, stdout};
use support::mosquitto::Mosquitto;
use support::victoria::Victoria;

const SERIAL: u32 = 17_589_669;

/// Two numbers and a flag of a record that no built-in decoder reads.
const CUSTOM: &str = r#"
decoders:
  custom:
    - length: "0x2C"
      name: boiler
      record_type: "0x7878"
      fields:
        - {key: tank_temp, offset: "0x28", type: i16, divide: 10, unit: "°C", range: [0, 120]}
        - {key: level, offset: "0x30", type: u8}
        - {key: busy, offset: "0x30", bit: 4}
"#;

/// A quarter of an hour of records 0x2C.
fn capture(sandbox: &Sandbox) {
    let start: Timestamp = "2026-06-20T10:00:00Z".parse().unwrap();
    let mut settings = Settings::new(start, TimeZone::UTC);
    settings.rates = vec![Rate { length: 0x2C, every: 12 }];
    let mut household = Household::new(settings);
    let mut capture =
        pcapng::PcapngWriter::new(File::create(sandbox.path("some.pcapng")).unwrap(), None)
            .unwrap();
    while let Some((time, frame)) = household.next_frame()
        && time < start + SignedDuration::from_mins(15)
    {
        capture.write(time, frame).unwrap();
    }
}

/// A value as a number; a flag is 0 or 1.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_bool().map(|flag| u8::from(flag).into())).unwrap()
}

#[test]
fn a_decoder_in_yaml_appears_in_every_output() {
    let (Some(broker), Some(database)) = (Mosquitto::start(), Victoria::start()) else {
        return;
    };
    let listener = broker.listen();
    let sandbox = Sandbox::new();
    capture(&sandbox);
    let config = format!(
        "timezone: UTC\ncapture: {{type: replay, path: some.pcapng}}\n{CUSTOM}sinks:\n  \
         - type: stdout\n  - {{type: sqlite, path: energi.db}}\n  \
         - {{type: mqtt, url: \"{}\", topic: myenergi, interval: 0}}\n  \
         - {{type: influxdb, url: \"{}\", org: home, bucket: energy}}\n",
        broker.url(),
        database.url()
    );
    sandbox.write("config.yaml", config);
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));

    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 75);
    assert!(lines.iter().all(|line| line["experimental"] == true && line["packet"] == "0x2C"));
    let history = rusqlite::Connection::open(sandbox.path("energi.db")).unwrap();

    // In the order of key, then time.
    let points = database.samples();
    for key in ["0x2C/tank_temp", "0x2C/level", "0x2C/busy"] {
        let expected: Vec<(i64, f64)> = lines
            .iter()
            .map(|line| {
                let time: Timestamp = line["time"].as_str().unwrap().parse().unwrap();
                (time.as_millisecond(), number(&line["fields"][key]))
            })
            .collect();
        let mut samples =
            history.prepare("SELECT time, value FROM sample WHERE key = ? ORDER BY time").unwrap();
        let stored = samples.query_map([key], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(stored.collect::<Result<Vec<_>, _>>().unwrap(), expected, "{key} in SQLite");

        let topic = format!("myenergi/{SERIAL}/{key}");
        listener.wait(&topic, |heard| {
            heard.iter().filter(|it| it.topic == topic).count() >= expected.len()
        });
        let published =
            listener.of(&topic).iter().map(|text| text.parse().unwrap()).collect::<Vec<f64>>();
        let values: Vec<f64> = expected.iter().map(|(_, value)| *value).collect();
        assert_eq!(published, values, "{key} in MQTT");

        let name = format!("myenergi_{key}");
        let points: Vec<(i64, f64)> = points
            .iter()
            .filter(|(point, ..)| *point == name)
            .map(|(_, _, time, value)| (*time, value.parse().unwrap()))
            .collect();
        assert_eq!(points, expected, "{key} in InfluxDB");
    }
}
