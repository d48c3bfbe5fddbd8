//! docs/configuration.md has every key of every section.

use std::collections::BTreeMap;

use energi_decoders::custom::{CustomDecoder, CustomField};
use energi_gateway::config::{self, Decoders, Device, Devices, Live, Remote, Replay, Simulator};
use energi_sinks::settings::Tariff;
use serde_json::json;

use crate::options::{of, with_options};
use crate::page::pages;
use support::gateway::root;
use support::golden::matches_golden;

const PAGE: &str = "docs/configuration.md";

/// The sections of the page by their headings, and the options that each has.
fn sections() -> Vec<(&'static str, BTreeMap<String, String>)> {
    let with_type = |mut options: BTreeMap<String, String>| {
        options.insert("type".to_owned(), "required".to_owned());
        options
    };
    let field = json!({"key": "k"});
    Vec::from([
        ("Top level", whole()),
        ("tariff", of::<Tariff>(&json!({"import": 0.27, "currency": "GBP"}))),
        ("capture: live", with_type(of::<Live>(&json!({"interface": "eth0"})))),
        #[cfg(feature = "nats")]
        (
            "capture: nats",
            with_type(of::<energi_sinks::nats::NatsConsumerConfig>(
                &json!({"url": "nats://host", "stream": "energi", "consumer": "history"}),
            )),
        ),
        ("capture: remote", with_type(of::<Remote>(&json!({})))),
        ("capture: replay", with_type(of::<Replay>(&json!({"path": "day.pcapng"})))),
        ("capture: simulator", with_type(of::<Simulator>(&json!({})))),
        ("devices", of::<Devices>(&json!({}))),
        ("devices.list", of::<Device>(&json!({"serial": 1}))),
        ("decoders", of::<Decoders>(&json!({}))),
        (
            "decoders.custom",
            of::<CustomDecoder>(&json!({"length": "0x2C", "name": "n", "fields": []})),
        ),
        ("decoders.custom.fields", of::<CustomField>(&field)),
        (
            "sinks",
            BTreeMap::from([
                ("type".to_owned(), "required".to_owned()),
                ("name".to_owned(), "its type".to_owned()),
            ]),
        ),
    ])
}

/// The keys at the top: those of a configuration that says everything, and what stands there in one
/// that says as little as may be.
fn whole() -> BTreeMap<String, String> {
    let top = |text: &str| -> serde_yaml::Mapping {
        let config = config::parse(text, "x.yaml".as_ref(), &|_| None).unwrap();
        serde_yaml::from_str(&config.to_yaml().unwrap()).unwrap()
    };
    let least = "capture: {type: simulator}\nsinks: [{type: stdout}]\n";
    let most = format!(
        "{least}site: home\ntimezone: Europe/London\ndevices: {{}}\ndecoders: {{}}\n\
         tariff: {{import: 1, currency: EUR}}\n"
    );
    let least = top(least);
    top(&most)
        .into_iter()
        .map(|(key, _)| {
            let default = match key.as_str().unwrap() {
                "capture" | "sinks" => "required".to_owned(),
                // On this machine it has some value.
                "timezone" => "the system's".to_owned(),
                "devices" | "decoders" => "see below".to_owned(),
                _ => {
                    least.get(&key).map_or("none".to_owned(), |it| it.as_str().unwrap().to_owned())
                }
            };
            (key.as_str().unwrap().to_owned(), default)
        })
        .collect()
}

#[test]
fn the_page_on_configuration_has_every_key() {
    let mut text = std::fs::read_to_string(root().join(PAGE)).unwrap();
    for (heading, expected) in sections() {
        let start = text.find(&format!("# {heading}\n")).unwrap_or_else(|| panic!("{heading}"));
        let section = text[start..].split("\n#").next().unwrap();
        let end = start + section.len();
        let written = with_options(section, &expected);
        text = format!("{}{written}{}", &text[..start], &text[end..]);
    }
    matches_golden(PAGE, &text);
}

#[test]
fn every_key_that_a_page_names_by_its_section_exists() {
    let mut known: Vec<String> = Vec::new();
    for (heading, options) in sections() {
        let section = heading.split(':').next().unwrap();
        known.extend(options.keys().map(|key| format!("{section}.{key}")));
    }
    let begins = |code: &str| {
        ["capture.", "devices.", "decoders."].iter().any(|section| code.starts_with(section))
            && code.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_'))
    };
    for page in pages() {
        for code in page.code.iter().filter(|code| begins(code)) {
            let within = format!("{code}.");
            let found = known.iter().any(|key| key == code || key.starts_with(&within));
            assert!(found, "{}: there is no `{code}`", page.path);
        }
    }
}
