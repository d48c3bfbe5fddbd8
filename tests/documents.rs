//! The documents say what the code does: each sink's page lists its options, all of them and with
//! their defaults.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/gateway.rs"]
mod gateway;

use std::collections::BTreeMap;

use energi_sinks::registry::{KeysOf, SinkType};
use gateway::root;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};

/// A page, the sink that it is about, and the least that a configuration of one has to say.
fn pages() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "docs/sinks/influxdb.md",
            "influxdb",
            json!({"url": "http://host:8086", "org": "home", "bucket": "energy"}),
        ),
        ("docs/sinks/mqtt.md", "mqtt", json!({"url": "mqtt://broker:1883"})),
    ]
}

#[test]
fn the_options_of_a_sink_are_documented_with_their_defaults() {
    for (page, name, minimal) in pages() {
        let Some(sink) = SinkType::built().find(|sink| sink.name() == name) else { continue };
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        assert_eq!(documented(&text), options(sink, &minimal), "{page}");
    }
}

#[test]
fn the_example_configuration_shows_every_option_with_its_default() {
    let text = std::fs::read_to_string(root().join("config.example.yaml")).unwrap();
    for (_, name, minimal) in pages() {
        let Some(sink) = SinkType::built().find(|sink| sink.name() == name) else { continue };
        let start = text.find(&format!("- type: {name}\n")).expect(name);
        let block = text[start..].split("\n\n").next().unwrap();
        for (option, default) in options(sink, &minimal) {
            let key = option.rsplit('.').next().unwrap();
            let shown = match default.as_str() {
                "required" | "none" => format!(" {key}: "),
                default => format!(" {key}: {default}"),
            };
            assert!(block.contains(&shown), "{name}: `{shown}` is not shown");
        }
    }
}

/// The options in a page's table and their defaults.
fn documented(page: &str) -> BTreeMap<String, String> {
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = page.lines().skip_while(|line| !line.starts_with("| option "));
    let mut rows = rows.take_while(|line| line.starts_with('|')).map(cells);
    let heads = rows.next().expect("a table of options");
    assert_eq!(heads[..3], ["option", "default", "unit"]);
    rows.skip(1)
        .map(|row| {
            assert!(!row[3].is_empty(), "{row:?}: what is it?");
            (row[0].clone(), row[1].clone())
        })
        .collect()
}

/// The options that the code knows and their defaults: `required` where a configuration has to say
/// it, `none` where nothing stands in for it.
fn options(sink: SinkType, minimal: &Value) -> BTreeMap<String, String> {
    let mut config = KeysOf(sink).deserialize(minimal).unwrap();
    config.named(sink.name());
    let mut defaults = BTreeMap::new();
    flatten("", &serde_json::to_value(&config).unwrap(), &mut defaults);
    keys(sink, minimal, &[])
        .into_iter()
        .map(|key| {
            let default = match defaults.get(&key) {
                _ if minimal.get(&key).is_some() => "required".to_owned(),
                Some(default) => default.clone(),
                None => "none".to_owned(),
            };
            (key, default)
        })
        .collect()
}

/// The keys below `place`, as the code names them to somebody who writes one that there is not.
fn keys(sink: SinkType, minimal: &Value, place: &[&str]) -> Vec<String> {
    const NOT_A_KEY: &str = "?";
    let wrong = place.iter().rev().fold(json!({NOT_A_KEY: 0}), |below, key| json!({*key: below}));
    let mut config = minimal.clone();
    config.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    let Err(error) = KeysOf(sink).deserialize(&config) else { return Vec::new() };
    let error = error.to_string();
    let Some((_, known)) = error.split_once("unknown field `?`, expected ") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for key in known.split('`').skip(1).step_by(2) {
        let place = [place, &[key]].concat();
        let below = keys(sink, minimal, &place);
        if below.is_empty() {
            all.push(place.join("."));
        }
        all.extend(below);
    }
    all
}

fn flatten(place: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                flatten(&place, value, all);
            }
        }
        Value::String(text) => drop(all.insert(place.to_owned(), text.clone())),
        other => drop(all.insert(place.to_owned(), other.to_string())),
    }
}
