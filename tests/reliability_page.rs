//! The page on what goes wrong names tests that there are, and leaves no fault out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/gateway.rs"]
mod gateway;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gateway::root;

/// The functions of every Rust file below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| {
                let (before, rest) = line.split_once("fn ")?;
                let is_test = before.trim().is_empty() || before.trim() == "async";
                is_test.then(|| rest.split(['(', '<']).next().unwrap().to_owned())
            });
            found.extend(names);
        }
    }
}

fn page() -> String {
    fs::read_to_string(root().join("docs/reliability.md")).unwrap()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let mut known = BTreeSet::new();
    for folder in ["tests", "sinks/tests", "src", "sinks/src", "decoders/src"] {
        functions(&root().join(folder), &mut known);
    }
    let page = page();
    let named = page.split('`').skip(1).step_by(2).filter(|word| {
        word.matches('_').count() > 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let missing: Vec<_> = named.clone().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:?}");
    assert!(named.count() > 50);
}

#[test]
fn every_fault_of_the_capture_and_of_each_sink_has_a_line() {
    let page = page();
    let section = |title: &str| {
        let (_, rest) = page.split_once(&format!("\n### {title}\n")).unwrap();
        rest.split("\n#").next().unwrap()
    };
    for part in ["The capture", "`stdout`", "`sqlite`", "`mqtt`", "`influxdb`"] {
        for fault in ["slow", "hanging", "crashing", "disk full", "read-only"] {
            assert!(section(part).contains(&format!("**{fault}**")), "{part}: {fault}");
        }
    }
    for fault in [
        "clock jumps an hour",
        "clock jumps a year",
        "time at 1970 on boot",
        "`SIGSTOP` for a minute",
        "`SIGKILL` anywhere",
        "file descriptors exhausted",
    ] {
        assert!(section("The whole process").contains(&format!("**{fault}**")), "{fault}");
    }
}

#[test]
fn every_line_of_a_table_of_faults_names_its_test() {
    let page = page();
    let mut lines = page.lines();
    let mut rows = 0;
    while let Some(line) = lines.next() {
        if line != "| fault | what users see | what is lost | proved by |" {
            continue;
        }
        for row in lines.by_ref().skip(1).take_while(|row| row.starts_with('|')) {
            let proof = row.trim_end_matches(" |").rsplit('|').next().unwrap();
            assert!(proof.trim().starts_with('`'), "{row}");
            rows += 1;
        }
    }
    assert!(rows > 40, "{rows}");
}
