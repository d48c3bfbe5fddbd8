//! What was found, for people.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::HumanCount;

use super::advice::advice;
use super::{InterfaceInfo, InterfaceReport, Observation, TrafficStats};
use crate::capture::ethertype;
use crate::capture::live::{LinkState, forbidden, probe};

/// The interfaces of this machine, the loopback left out, and whether it may capture.
#[must_use]
pub fn overview() -> String {
    let rows: Vec<_> = InterfaceInfo::all()
        .into_iter()
        .filter(|interface| interface.kind != super::InterfaceKind::Loopback)
        .map(|interface| {
            let state = match interface.name.parse().map(|name| probe(&name)) {
                Ok(probe) => match probe.bridge {
                    Some(bridge) => format!("{}, port of {bridge}", state(probe.state)),
                    None => state(probe.state).to_owned(),
                },
                Err(_) => String::new(),
            };
            let mac = interface.mac.map(|mac| mac.to_string()).unwrap_or_default();
            vec![
                interface.name,
                interface.kind.to_string(),
                state,
                mac,
                interface.addresses.join(", "),
            ]
        })
        .collect();
    let interfaces =
        if rows.is_empty() { "  none but the loopback".to_owned() } else { columns(&[], rows) };
    let mut text = format!("Interfaces\n{interfaces}\n\nPermission to capture\n");
    match forbidden() {
        None => text.push_str("  granted\n"),
        Some(mend) => {
            for line in mend.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    text
}

fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Missing => "missing",
        LinkState::Down => "down",
        LinkState::NoCarrier => "no carrier",
        LinkState::Up => "up",
    }
}

/// What was found on one interface, and what to do.
#[must_use]
pub fn diagnosis(report: &InterfaceReport) -> String {
    let mut text = report.probe.interface.to_string();
    match &report.observed {
        Some(observed) => text.push_str(&received_frames(observed)),
        None => {
            let _ = writeln!(text, " {}", report.probe.state);
        }
    }
    let advice = advice(report);
    if !advice.is_empty() {
        text.push_str("\n  What to do\n");
    }
    for advice in advice {
        let lines = wrapped(&advice);
        for (number, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "  {} {line}", if number == 0 { "-" } else { " " });
        }
    }
    text
}

fn received_frames(observed: &Observation) -> String {
    let stats = &observed.stats;
    let mut text = format!(
        ", {} s: {} frames, {} of them of myenergi devices\n",
        observed.time.as_secs_f64().round(),
        HumanCount(stats.frames),
        HumanCount(stats.of_devices)
    );
    if stats.frames > 0 {
        let _ = write!(text, "\n{}\n", ethertypes(stats));
    }
    if stats.of_devices > 0 {
        let _ = write!(text, "\n{}\n", senders(stats));
    }
    if !stats.devices.is_empty() {
        let rows = stats.devices.iter().map(|(serial, records)| {
            let records: Vec<_> = records.iter().map(String::as_str).collect();
            vec![serial.to_string(), records.join(", ")]
        });
        let _ = write!(text, "\n{}\n", columns(&["Serial", "Named by records"], rows));
    }
    text
}

fn ethertypes(stats: &TrafficStats) -> String {
    let mut counts: Vec<_> = stats.ethertypes.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows = counts.iter().map(|(ethertype, count)| {
        let number = match ethertype {
            0 => "length".to_owned(),
            _ => format!("{ethertype:#06X}"),
        };
        vec![number, HumanCount(**count).to_string(), ethertype::name(**ethertype).to_owned()]
    });
    columns(&["Ethertype", ">Frames", ""], rows)
}

fn senders(stats: &TrafficStats) -> String {
    let rows = stats.senders.iter().flat_map(|(mac, sender)| {
        sender.records.iter().enumerate().map(move |(number, (length, count))| {
            let mac = if number == 0 { mac.to_string() } else { String::new() };
            let count = HumanCount(*count).to_string();
            vec![mac, format!("{length:#04X}"), count, stats.decoder(*length)]
        })
    });
    columns(&["Sender", "Record", ">Count", "Read by"], rows)
}

/// Indented columns below headings; one that begins with `>` is of numbers, which stand to the
/// right.
fn columns(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !headings.is_empty() {
        table.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
    }
    for row in rows {
        table.add_row(row);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if number == 0 { 2 } else { 0 }, 2));
        if headings.get(number).is_some_and(|heading| heading.starts_with('>')) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Lines that fit a terminal.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 88;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
