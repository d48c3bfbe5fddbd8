//! Configurations in the pages are accepted, JSON is JSON, and queries find something.

use std::path::Path;

use energi_gateway::config;
use energi_sinks::registry::{BUILT, TYPES};
use rusqlite::Connection;
use serde_yaml::{Mapping, Value};

use crate::page::{Page, pages};
use support::gateway::{Sandbox, root, stderr};

/// The languages that pages are written in besides those that tests look at.
const SHOWN_ONLY: [&str; 6] = ["text", "csv", "flux", "promql", "lua", "ini"];

/// The languages that tests look at: this one, `commands`, `tutorials` and those of each page.
const LOOKED_AT: [&str; 6] = ["yaml", "json", "sql", "sh", "console", "rust"];

#[test]
fn every_block_says_what_it_is() {
    for page in pages() {
        for block in &page.blocks {
            let known = [&SHOWN_ONLY[..], &LOOKED_AT[..]].concat().contains(&&*block.kind);
            // A configuration of another program says of which.
            let foreign = block.kind.starts_with("yaml ");
            let ours = ["$ ", "energi-gateway ", "cargo "];
            let typed =
                block.content.lines().any(|line| ours.iter().any(|it| line.starts_with(it)));
            let nothing = block.kind.is_empty() && !typed;
            assert!(known || foreign || nothing, "{}: a block of `{}`", page.path, block.kind);
        }
    }
}

#[test]
fn every_configuration_is_accepted() {
    let mut found = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.kind.starts_with("yaml")) {
            let value: Value = serde_yaml::from_str(&block.content)
                .unwrap_or_else(|error| panic!("{}: {error}\n{}", page.path, block.content));
            if block.kind != "yaml" {
                continue;
            }
            let left_out = |name: &&'static str| {
                !BUILT.contains(name) && block.content.contains(&format!("type: {name}"))
            };
            if TYPES.iter().any(left_out) {
                // This program was built without that sink.
                continue;
            }
            let text = serde_yaml::to_string(&whole(value)).unwrap();
            let secret = |_: &str| Some("secret".to_owned());
            if let Err(error) = config::parse(&text, Path::new(&page.path), &secret) {
                panic!("{error}\n{}", block.content);
            }
            found += 1;
        }
    }
    assert!(found > 5, "{found} configurations are there");
}

/// The configuration that a part of one, or a list of sinks, is shown for.
fn whole(part: Value) -> Mapping {
    let mut whole: Mapping = match part {
        Value::Sequence(sinks) => Mapping::from_iter([("sinks".into(), Value::Sequence(sinks))]),
        Value::Mapping(mapping) => mapping,
        other => panic!("neither keys nor sinks: {other:?}"),
    };
    for (key, least) in [("capture", "{type: simulator}"), ("sinks", "[{type: stdout}]")] {
        if !whole.contains_key(key) {
            whole.insert(key.into(), serde_yaml::from_str(least).unwrap());
        }
    }
    whole
}

#[test]
fn every_piece_of_json_is_json() {
    for page in pages() {
        for block in page.blocks_of("json") {
            let whole = serde_json::from_str::<serde_json::Value>(block).is_ok();
            let line = |line| serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(whole || block.lines().all(line), "{}: {block}", page.path);
        }
    }
}

/// Pages whose queries are for other databases.
const OTHER_DATABASES: [&str; 2] = ["docs/sinks/influxdb.md", "docs/sinks/postgres.md"];

#[test]
fn every_query_finds_something_in_the_example_day() {
    let sandbox = Sandbox::new();
    let day = root().join("examples/captures/eddi-day.pcapng.gz");
    sandbox.write(
        "config.yaml",
        format!(
            "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\nsinks: [type: sqlite]\n",
            day.display()
        ),
    );
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let history = Connection::open(sandbox.path("energi.db")).unwrap();
    let mut found = 0;
    for page in pages().iter().filter(|page| !OTHER_DATABASES.contains(&&*page.path)) {
        let queries = page.blocks_of("sql").flat_map(|block| block.split(';'));
        for query in queries.map(str::trim).filter(|query| !query.is_empty()) {
            let place = || format!("{}: {query}", page.path);
            let mut statement =
                history.prepare(query).unwrap_or_else(|error| panic!("{}: {error}", place()));
            assert!(statement.exists([]).unwrap(), "{}: finds nothing", place());
            found += 1;
        }
    }
    assert!(found >= 2, "{found} queries are there");
}

#[test]
fn the_unit_is_installed_as_its_head_says() {
    let unit = std::fs::read_to_string(root().join("packaging/energi-gateway.service")).unwrap();
    let head = unit.lines().skip_while(|line| !line.starts_with("#   "));
    let commands: String = head
        .map_while(|line| line.strip_prefix("#   "))
        .flat_map(|command| [command, "\n"])
        .collect();
    assert_eq!(commands.matches("energi-gateway.service").count(), 2, "{commands}");
    let page = Page::read("docs/installation.md");
    assert!(page.blocks_of("sh").any(|block| block == commands), "not there:\n{commands}");
}
