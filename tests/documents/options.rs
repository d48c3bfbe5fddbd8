//! Tables of options are written by the code: which options there are, and their defaults. What an
//! option means is kept from the page.
//!
//! `UPDATE_GOLDEN=1 cargo test --test documents` writes them. A new option gets a row that is still
//! to be explained; the test fails until it is.

use std::collections::BTreeMap;
use std::fmt::Write;

use energi_sinks::registry::{KeysOf, SinkType};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::{Value, json};

use support::gateway::root;
use support::golden::matches_golden;

/// A page, the sink that it is about, and the least that a configuration of one has to say.
fn pages() -> Vec<(&'static str, &'static str, Value)> {
    let pages = [
        ("docs/sinks/stdout.md", "stdout", json!({})),
        ("docs/sinks/sqlite.md", "sqlite", json!({})),
        (
            "docs/sinks/influxdb.md",
            "influxdb",
            json!({"url": "http://host:8086", "org": "home", "bucket": "energy"}),
        ),
        ("docs/sinks/mqtt.md", "mqtt", json!({"url": "mqtt://broker:1883"})),
        ("docs/sinks/postgres.md", "postgres", json!({"url": "postgresql://gateway@db1/energy"})),
        ("docs/sinks/web.md", "web", json!({})),
    ];
    let is_built = |name| SinkType::built().any(|sink| sink.name() == name);
    pages.into_iter().filter(|(_, name, _)| is_built(*name)).collect()
}

fn sink(name: &str) -> SinkType {
    SinkType::built().find(|sink| sink.name() == name).unwrap()
}

#[test]
fn every_sink_has_a_page() {
    let names: Vec<_> = pages().iter().map(|(_, name, _)| *name).collect();
    assert!(SinkType::built().all(|sink| names.contains(&sink.name())));
}

#[test]
fn the_options_of_a_sink_are_documented_with_their_defaults() {
    for (page, name, minimal) in pages() {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let options = of_sink(sink(name), &minimal);
        matches_golden(page, &with_options(&text, &options));
        assert_eq!(documented(&text), options, "{page}");
    }
}

#[test]
fn the_example_configuration_shows_every_option_with_its_default() {
    let text = std::fs::read_to_string(root().join("config.example.yaml")).unwrap();
    for (_, name, minimal) in pages() {
        let start = text.find(&format!("- type: {name}\n")).expect(name);
        let block = text[start..].split("\n\n").next().unwrap();
        for (option, default) in of_sink(sink(name), &minimal) {
            let key = option.rsplit('.').next().unwrap();
            let shown = match default.as_str() {
                "required" | "none" => format!(" {key}: "),
                default => format!(" {key}: {default}"),
            };
            assert!(block.contains(&shown), "{name}: `{shown}` is not shown");
        }
    }
}

/// The text with the rows and defaults of its first table of options as the code has them. Rows keep
/// their order, unit and words; new ones come last.
pub(crate) fn with_options(text: &str, options: &BTreeMap<String, String>) -> String {
    // A sink without options has no table.
    let Some(start) = text.find("| option ") else { return text.to_owned() };
    let rows = text[start..].lines().take_while(|line| line.starts_with('|'));
    let (mut table, mut left) = (String::new(), options.clone());
    let mut end = start;
    for (index, row) in rows.enumerate() {
        end += row.len() + 1;
        let cells: Vec<&str> = row.trim_matches('|').splitn(4, '|').map(str::trim).collect();
        let option = cells[0].replace('`', "");
        if index < 2 {
            writeln!(table, "{row}").unwrap();
        } else if let Some(default) = left.remove(&option) {
            // In words, or as it is written in YAML.
            let shown = if cells[1].replace('`', "") == default {
                cells[1].to_owned()
            } else {
                code_or_words(&default)
            };
            let unit = if cells[2].is_empty() { " ".to_owned() } else { format!(" {} ", cells[2]) };
            let words = cells[3].trim_end();
            writeln!(table, "| `{option}` | {shown} |{unit}| {words} |").unwrap();
        }
    }
    for (option, default) in left {
        writeln!(table, "| `{option}` | {} | | |", code_or_words(&default)).unwrap();
    }
    format!("{}{table}{}", &text[..start], &text[end..])
}

fn code_or_words(default: &str) -> String {
    if matches!(default, "required" | "none") { default.to_owned() } else { format!("`{default}`") }
}

/// The options in the tables of a text and their defaults.
pub(crate) fn documented(text: &str) -> BTreeMap<String, String> {
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = text.lines().skip_while(|line| !line.starts_with("| option "));
    let mut rows = rows.take_while(|line| line.starts_with('|')).map(cells);
    let Some(heads) = rows.next() else { return BTreeMap::new() };
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
fn of_sink(sink: SinkType, minimal: &Value) -> BTreeMap<String, String> {
    options(minimal, &|value| {
        let mut config = KeysOf(sink).deserialize(value).map_err(|error| error.to_string())?;
        config.named(sink.name());
        let mut value = serde_json::to_value(&config).unwrap();
        value.as_object_mut().unwrap().remove("type");
        Ok(value)
    })
}

/// The options of a section that is read as a `T`.
pub(crate) fn of<T: DeserializeOwned + Serialize>(minimal: &Value) -> BTreeMap<String, String> {
    options(minimal, &|value| {
        let section = T::deserialize(value).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(&section).unwrap())
    })
}

/// What the code makes of a section: itself with its defaults, or what is wrong with it.
type Read<'a> = &'a dyn Fn(&Value) -> Result<Value, String>;

fn options(minimal: &Value, read: Read<'_>) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    flatten("", &read(minimal).unwrap(), &mut defaults);
    let mut options: BTreeMap<String, String> = keys(minimal, read, &[])
        .into_iter()
        .map(|key| {
            let required = key.split('.').next().is_some_and(|key| minimal.get(key).is_some());
            let default = if required { "required".to_owned() } else { "none".to_owned() };
            (key, default)
        })
        .collect();
    options.retain(|key, _| {
        let within = format!("{key}.");
        !defaults.keys().any(|default| default.starts_with(&within))
    });
    for (key, default) in defaults {
        let option = options.entry(key).or_default();
        if option != "required" {
            *option = default;
        }
    }
    options
}

/// The keys below `place`, as the code names them to somebody who writes one that there is not.
fn keys(minimal: &Value, read: Read<'_>, place: &[&str]) -> Vec<String> {
    const NOT_A_KEY: &str = "?";
    let wrong = place.iter().rev().fold(json!({NOT_A_KEY: 0}), |below, key| json!({*key: below}));
    let mut config = minimal.clone();
    config.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    let Err(error) = read(&config) else { return Vec::new() };
    let Some((_, known)) = error.split_once("unknown field `?`, expected ") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for key in known.split('`').skip(1).step_by(2) {
        let place = [place, &[key]].concat();
        let below = keys(minimal, read, &place);
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
        Value::Object(_) if place.is_empty() => {}
        other => drop(all.insert(place.to_owned(), other.to_string())),
    }
}
