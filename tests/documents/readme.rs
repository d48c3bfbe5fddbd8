//! The README's tables of readings, sinks and commands are written by the code.
//! `UPDATE_GOLDEN=1 cargo test --test documents` writes them.

use std::fs;

use clap::CommandFactory;
use energi_decoders::{Class, Trust, packets};
use energi_gateway::cli::Cli;
use energi_sinks::registry::TYPES;

use crate::table::{rows, with_rows};
use support::gateway::root;
use support::golden::matches_golden;

const README: &str = "README.md";
const READINGS: &str = "| key | packet | unit | ";
const SINKS: &str = "| sink | ";
const COMMANDS: &str = "| command | ";

#[test]
fn the_readme_lists_are_complete() {
    let text = fs::read_to_string(root().join(README)).unwrap();
    let sinks: Vec<_> =
        TYPES.iter().map(|name| vec![format!("[`{name}`](docs/sinks/{name}.md)")]).collect();
    let command = Cli::command();
    let commands: Vec<_> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| vec![format!("`{}`", command.get_name())])
        .collect();
    let written = with_rows(&text, READINGS, &readings(&text));
    let written = with_rows(&written, SINKS, &sinks);
    matches_golden(README, &with_rows(&written, COMMANDS, &commands));
}

/// Confirmed keys with the packets they come in and their unit. Keys that share a row of the text
/// stay together.
fn readings(text: &str) -> Vec<Vec<String>> {
    let mut found: Vec<(String, Vec<String>, String)> = Vec::new();
    for layout in packets::all().filter(|layout| layout.status == Trust::Confirmed) {
        // A confirmed decoder is of one length.
        let packet = format!("0x{:02X}", layout.length.unwrap());
        for field in &*layout.fields {
            let key = format!("`{}`", field.key());
            match found.iter_mut().find(|(known, ..)| *known == key) {
                Some((_, packets, _)) if packets.contains(&packet) => {}
                Some((_, packets, _)) => packets.push(packet.clone()),
                None => {
                    let flag = matches!(field.metric.class, Class::Flag | Class::Running);
                    let unit = if flag { "flag".into() } else { field.metric.unit.to_string() };
                    found.push((key, vec![packet.clone()], unit));
                }
            }
        }
    }
    let mut written: Vec<Vec<String>> = Vec::new();
    for row in rows(text, READINGS) {
        let of_row = |(key, ..): &mut (String, _, _)| row[0].split(", ").any(|one| one == key);
        for (key, packets, unit) in found.extract_if(.., of_row) {
            let cells = [packets.join(", "), unit];
            match written.last_mut() {
                Some(last) if row[0].starts_with(&last[0]) && last[1..] == cells => {
                    last[0] = format!("{}, {key}", last[0]);
                }
                _ => written.push([vec![key], cells.to_vec()].concat()),
            }
        }
    }
    let new = found.into_iter().map(|(key, packets, unit)| vec![key, packets.join(", "), unit]);
    written.extend(new);
    written
}
