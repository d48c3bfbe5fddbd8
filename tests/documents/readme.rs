//! The README's tables have every reading, sink and command that there is.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use energi_decoders::{Class, Trust, packets};
use energi_gateway::cli::Cli;
use energi_sinks::registry::TYPES;

use crate::page::Page;

/// The rows of the table that begins with these heads, each a list of cells.
fn table(heads: &str) -> Vec<Vec<String>> {
    let text = Page::read("README.md").text;
    let rows = text.lines().skip_while(|line| *line != heads).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
}

#[test]
fn every_confirmed_reading_is_there_with_its_packets_and_unit() {
    let mut read: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for layout in packets::all().filter(|layout| layout.status == Trust::Confirmed) {
        for field in &*layout.fields {
            let flag = matches!(field.metric.class, Class::Flag | Class::Running);
            let unit = if flag { "flag".into() } else { field.metric.unit.to_string() };
            let (packets, _) =
                read.entry(field.key().to_owned()).or_insert_with(|| (Vec::new(), unit));
            // A confirmed decoder is of one length.
            let packet = format!("0x{:02X}", layout.length.unwrap());
            if !packets.contains(&packet) {
                packets.push(packet);
            }
        }
    }
    let mut shown = BTreeMap::new();
    for row in table("| key | packet | unit | what |") {
        let packets: Vec<_> = row[1].split(", ").map(String::from).collect();
        for key in row[0].split(", ") {
            shown.insert(key.to_owned(), (packets.clone(), row[2].clone()));
        }
    }
    assert_eq!(shown, read);
}

#[test]
fn every_sink_is_there() {
    let shown = table("| sink | for |").into_iter().map(|row| {
        let name = row[0].split(']').next().unwrap();
        name.trim_start_matches('[').to_owned()
    });
    let shown: BTreeSet<_> = shown.collect();
    assert_eq!(shown, TYPES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn every_command_is_there() {
    let command = Cli::command();
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    let known: BTreeSet<_> = visible.map(|command| command.get_name().to_owned()).collect();
    let shown: BTreeSet<_> = table("| command | does |")
        .iter()
        .flat_map(|row| row[0].split(", ").map(String::from))
        .collect();
    assert_eq!(shown, known);
}
