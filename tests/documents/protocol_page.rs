//! Statements of the documents about the program are true.
//!
//! Their tables of fields are written from the code; `UPDATE_GOLDEN=1 cargo test --test documents`
//! updates them.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use energi_decoders::{Class, HeaderField, Layout, RecordTypes, Rules, header, packets};
use support::gateway::{root, stdout};
use support::golden::matches_golden;
use support::process::installed;

const PROTOCOL: &str = "docs/protocol.md";

/// Held by the test that writes the page.
static PAGE: Mutex<()> = Mutex::new(());

#[test]
fn the_tables_of_the_protocol_are_those_of_the_code() {
    let _alone = PAGE.lock();
    let text = fs::read_to_string(root().join(PROTOCOL)).unwrap();
    let mut tables: Vec<(String, String)> = vec![
        ("frame".to_owned(), header_table(header::FRAME)),
        ("record".to_owned(), header_table(header::RECORD)),
    ];
    for layout in packets::all() {
        tables.push((layout.name.to_string(), field_table(layout)));
    }
    let mut written = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<!-- table ") {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap();
        let place = tables.iter().position(|(table, _)| table == name);
        let (_, table) = tables.remove(place.unwrap_or_else(|| panic!("{name}: no such table")));
        write!(written, "{before}<!-- table {name} -->\n{table}<!-- end -->").unwrap();
        rest = after;
    }
    assert!(tables.is_empty(), "not in {PROTOCOL}: {tables:?}");
    matches_golden(PROTOCOL, &(written + rest));
}

fn header_table(fields: &[HeaderField]) -> String {
    let mut table =
        "| offset | bytes | what | what is known | conf. |\n|---|---|---|---|---|\n".to_owned();
    for field in fields {
        let HeaderField { label, offset, size, note, .. } = field;
        let letter = field.confidence.letter();
        writeln!(table, "| 0x{offset:02X} | {size} | {label} | {note} | {letter} |").unwrap();
    }
    table
}

/// Returns which records a decoder reads, by type and class.
fn rules(rules: &Rules) -> String {
    let types = |types: RecordTypes| {
        let types: Vec<_> = types.as_slice().iter().map(|kind| format!("0x{kind:04X}")).collect();
        (!types.is_empty()).then(|| types.join(", "))
    };
    let said = [
        types(rules.requires_types).map(|types| format!("type {types}")),
        types(rules.refuses_types).map(|types| format!("not type {types}")),
        rules.requires_class.map(|class| format!("class {class}")),
        rules.refuses_class.map(|class| format!("not class {class}")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) }
}

fn field_table(layout: &Layout) -> String {
    let Layout { name, status, serial, .. } = layout;
    let length = layout.length.map_or("any length".to_owned(), |length| format!("0x{length:02X}"));
    let mut table = format!(
        "*{name}*, {}: {length}{}.\n\n\
         | offset | type | key | scale | unit | plausible | conf. | what |\n\
         |---|---|---|---|---|---|---|---|\n\
         | 0x{serial:02X} | u32 | `serial` | | | | A | Serial number |\n",
        status.name(),
        rules(&layout.rules),
    );
    for field in &*layout.fields {
        let (metric, (least, most)) = (&field.metric, field.metric.range);
        let range = if least.is_finite() { format!("{least} to {most}") } else { "any".to_owned() };
        let cells = [
            match field.entry {
                None => format!("0x{:02X}", field.offset),
                Some(entry) => format!("{entry}, +{}", field.offset),
            },
            field.raw.name().into_owned(),
            format!("`{}`", metric.key),
            field.scale(),
            metric.unit.to_string(),
            range,
            field.confidence.letter().to_string(),
            match metric.class {
                Class::Choice(words) => format!("{}: {}", metric.label, words.join(", ")),
                _ => metric.label.to_string(),
            },
        ];
        writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    }
    table
}

#[test]
fn what_is_shown_to_be_typed_says_what_is_shown() {
    if installed("tshark").is_none() {
        return;
    }
    let _alone = PAGE.lock();
    let text = fs::read_to_string(root().join(PROTOCOL)).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_energi-gateway")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut written = String::new();
    let mut rest = text.as_str();
    let mut commands = 0;
    while let Some((before, after)) = rest.split_once("```console\n$ ") {
        let (command, after) = after.split_once('\n').unwrap();
        let (_, after) = after.split_once("```").unwrap();
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", command]).current_dir(root()).env("PATH", &path).output();
        let said = stdout(&output.unwrap());
        write!(written, "{before}```console\n$ {command}\n{said}```").unwrap();
        commands += 1;
        rest = after;
    }
    assert_eq!(commands, 2);
    matches_golden(PROTOCOL, &(written + rest));
}
