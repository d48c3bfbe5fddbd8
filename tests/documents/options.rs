//! Tables of options and the example configuration are written by the code: which options there are,
//! and their defaults. `UPDATE_GOLDEN=1 cargo test --test documents` writes them.

use std::collections::BTreeMap;
use std::fmt::Write;

use energi_gateway::config;
use energi_sinks::registry::{BUILT, KeysOf};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::{Value, json};

use crate::table::with_rows;
use support::gateway::root;
use support::golden::matches_golden;

const EXAMPLE: &str = "config.example.yaml";

/// The least that a configuration of a sink has to say.
fn minimal(name: &str) -> Value {
    match name {
        "influxdb" => json!({"url": "http://host:8086", "org": "home", "bucket": "energy"}),
        "mqtt" => json!({"url": "mqtt://broker:1883"}),
        "nats" => json!({"url": "tls://host", "subject": "energi.home.frames"}),
        "postgres" => json!({"url": "postgresql://gateway@db1/energy"}),
        _ => json!({}),
    }
}

#[test]
fn the_page_of_a_sink_has_its_options() {
    for sink in BUILT {
        let page = format!("docs/sinks/{sink}.md");
        let text = std::fs::read_to_string(root().join(&page)).expect(&page);
        matches_golden(&page, &with_options(&text, &of_sink(sink)));
    }
}

#[test]
fn the_example_configuration_has_every_option() {
    let mut text = std::fs::read_to_string(root().join(EXAMPLE)).unwrap();
    for sink in BUILT {
        let start = format!("- type: {sink}\n");
        if !text.contains(&start) {
            writeln!(text, "\n  # See docs/sinks/{sink}.md.\n  #\n  # {start}  #   name: {sink}")
                .unwrap();
        }
        text = with_defaults(&text, &start, &of_sink(sink));
    }
    let decoders = of::<config::Decoders>(&json!({}));
    matches_golden(EXAMPLE, &with_defaults(&text, "\ndecoders:\n", &decoders));
}

/// The text with the defaults of the block that begins with `start` as the code has them. A new
/// option is added at the end of the block, as a comment.
fn with_defaults(text: &str, start: &str, options: &BTreeMap<String, String>) -> String {
    let start = text.find(start).expect(start) + 1;
    let end = text[start..].find("\n\n").map_or(text.len(), |end| start + end + 1);
    let mut block = text[start..end].to_owned();
    for (option, default) in options {
        let key = option.rsplit('.').next().unwrap();
        let given = matches!(default.as_str(), "required" | "none");
        let name = [format!(" {key}: "), format!(" \"{key}\": ")];
        let Some(value) = name.iter().find_map(|name| Some(block.find(name)? + name.len())) else {
            let default = if given { "" } else { default };
            writeln!(block, "  #   {key}: {default}").unwrap();
            continue;
        };
        let line = block[value..].lines().next().unwrap_or_default();
        let old = line.split(" #").next().unwrap_or_default().trim_end().len();
        // The example day is written to a history of its own.
        if !given && block[value..value + old] != *"demo.db" {
            block.replace_range(value..value + old, default);
        }
    }
    format!("{}{block}{}", &text[..start], &text[end..])
}

/// The text with its first table of options as the code has them. The units and words are the page's.
pub(crate) fn with_options(text: &str, options: &BTreeMap<String, String>) -> String {
    let rows: Vec<_> =
        options.iter().map(|(key, value)| vec![format!("`{key}`"), shown(value)]).collect();
    with_rows(text, "| option | default | unit | ", &rows)
}

/// A default as the pages show it: in words, or as it is written in YAML.
fn shown(default: &str) -> String {
    let words =
        matches!(default, "required" | "none") || default.is_empty() || default.contains(' ');
    if words { default.to_owned() } else { format!("`{default}`") }
}

/// The options that the code knows and their defaults: `required` where a configuration has to say
/// it, `none` where nothing stands in for it.
fn of_sink(sink: &'static str) -> BTreeMap<String, String> {
    options(&minimal(sink), &|value| {
        let mut config = KeysOf(sink).deserialize(value).map_err(|error| error.to_string())?;
        config.named(sink);
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

/// Reads a section: itself with its defaults, or what is wrong with it.
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
