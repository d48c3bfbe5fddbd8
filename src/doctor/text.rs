//! Findings as text for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use energi_decoders::Value;
use energi_sinks::current::CurrentDevice;
use energi_sinks::eddi_state::EddiState;
use indicatif::HumanCount;

use super::advice::{advice, as_root};
use super::{Examination, InterfaceInfo, InterfaceKind, InterfaceReport, TrafficStats};
use crate::capture::ethertype;
use crate::capture::live::LinkState;
use crate::terminal::{self, indented, wrapped, wrapped_command};

/// Interfaces that are shown; a machine with many containers has hundreds.
const MOST_SHOWN: usize = 12;

/// Columns of advice on a wide terminal.
const WIDEST: usize = 80;

/// The result: what it comes to, the interfaces, the permission, what each interface received, and
/// the values just read.
impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut successes = self.reports.iter().filter(|report| report.of_devices() > 0).peekable();
        if let Some(report) = successes.peek() {
            writeln!(f, "myenergi devices are received on {}.\n", report.probe.interface)?;
        } else if self.reports.iter().any(|report| report.observed.is_some()) {
            f.write_str("No myenergi device is received.\n\n")?;
        }
        writeln!(f, "Interfaces\n{}\n\nPermission to capture", interfaces(&self.interfaces))?;
        match &self.forbidden {
            None => f.write_str("  granted\n")?,
            Some(remedy) => {
                let command = as_root("doctor");
                let now = format!("To examine them now, without granting it:\n  {command}");
                for line in remedy.lines().chain(now.lines()) {
                    let lines = match line.strip_prefix("  ") {
                        Some(command) => wrapped_command(command, columns_left(4)),
                        None => wrapped(line, columns_left(2)),
                    };
                    let indent = if line.starts_with(' ') { 4 } else { 2 };
                    lines.iter().try_for_each(|line| writeln!(f, "{:indent$}{line}", ""))?;
                }
            }
        }
        let found = self.has_devices();
        for report in &self.reports {
            diagnosis(f, report, found && report.of_devices() == 0)?;
        }
        let mut heading = "\nLatest values\n";
        for observed in successes.filter_map(|report| report.observed.as_ref()) {
            for (serial, device) in observed.stats.values.devices() {
                let text = format!("{serial}: {}", values(device));
                let lines = indented(&text, columns_left(2));
                writeln!(f, "{heading}  {}", lines.join("\n  "))?;
                heading = "";
            }
        }
        Ok(())
    }
}

fn interfaces(all: &[InterfaceInfo]) -> String {
    let (shown, others): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|interface| interface.kind != InterfaceKind::Loopback)
        .enumerate()
        .partition(|(place, _)| *place < MOST_SHOWN);
    if shown.is_empty() {
        return "  none but the loopback".to_owned();
    }
    let rows = shown.into_iter().map(|(_, interface)| {
        let state = state(interface.state);
        let bridge = interface.bridge.as_ref();
        let separator = if terminal::width().is_some() { "\n" } else { ", " };
        vec![
            interface.name.clone(),
            interface.kind.to_string(),
            bridge.map_or_else(|| state.to_owned(), |bridge| format!("{state}, port of {bridge}")),
            interface.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            interface.addresses.join(separator),
        ]
    });
    let mut text = table(&[], rows.clone()).trim_fmt();
    if text.lines().any(|line| line.chars().count() > columns_left(0)) {
        // Addresses are not broken: each stands on a line of its own.
        let lines = rows.map(|row| {
            let (row, addresses) = row.split_at(3);
            let addresses = addresses.iter().flat_map(|text| text.lines());
            let addresses = addresses.map(|address| format!("\n      {address}"));
            format!("  {}{}", row.join(", "), addresses.collect::<String>())
        });
        text = lines.collect::<Vec<_>>().join("\n");
    }
    if !others.is_empty() {
        let mut kinds = BTreeMap::<_, usize>::new();
        for (_, interface) in &others {
            *kinds.entry(interface.kind).or_default() += 1;
        }
        let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let _ = write!(text, "\n  and {} others: {}", others.len(), kinds.join(", "));
    }
    text
}

const fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Missing => "missing",
        LinkState::Unknown => "unknown",
        LinkState::Down => "down",
        LinkState::NoCarrier => "no carrier",
        LinkState::Up => "up",
    }
}

/// Writes what was found on one interface, and what to do, unless the devices are received on
/// another.
fn diagnosis(f: &mut fmt::Formatter<'_>, report: &InterfaceReport, brief: bool) -> fmt::Result {
    match &report.observed {
        None => writeln!(f, "\n{} {}", report.probe.interface, report.probe.state)?,
        Some(observed) => {
            let (stats, name) = (&observed.stats, &report.probe.interface);
            let (all, ours) = (HumanCount(stats.frames), HumanCount(stats.of_devices));
            let seconds = observed.time.as_secs_f64().round();
            let text =
                format!("{name}, {seconds} s: {all} frames, {ours} of them of myenergi devices");
            writeln!(f, "\n{}", wrapped(&text, columns_left(0)).join("\n"))?;
            if !brief {
                traffic(f, stats)?;
            }
        }
    }
    let advice = if brief { Vec::new() } else { advice(report) };
    let width = terminal::width().map_or(WIDEST, usize::from).min(WIDEST).saturating_sub(4);
    if !advice.is_empty() {
        f.write_str("\n  What to do\n")?;
    }
    for advice in advice {
        for (number, line) in wrapped(&advice.text, width).iter().enumerate() {
            writeln!(f, "  {} {line}", if number == 0 { "-" } else { " " })?;
        }
        // On lines of their own, to be copied.
        let lines = advice.snippet.lines(columns_left(6));
        lines.iter().try_for_each(|line| writeln!(f, "      {line}"))?;
    }
    Ok(())
}

fn traffic(f: &mut fmt::Formatter<'_>, stats: &TrafficStats) -> fmt::Result {
    if stats.frames > 0 {
        writeln!(f, "\n{}", ethertypes(stats))?;
    }
    if stats.of_devices > 0 {
        f.write_str(&senders(stats))?;
    }
    if !stats.devices.is_empty() {
        let rows = stats.devices.iter().map(|(serial, device)| {
            let records: Vec<_> =
                device.records.iter().map(|length| format!("{length:#04X}")).collect();
            vec![serial.to_string(), device.product.to_string(), records.join(", ")]
        });
        writeln!(f, "\n{}", columns(&["Serial", "Product", "Named by records"], rows))?;
    }
    Ok(())
}

fn ethertypes(stats: &TrafficStats) -> String {
    let mut counts: Vec<_> = stats.ethertypes.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows = counts.iter().map(|(ethertype, count)| {
        let number =
            if **ethertype == 0 { "length".to_owned() } else { format!("{ethertype:#06X}") };
        vec![number, HumanCount(**count).to_string(), ethertype::name(**ethertype).to_owned()]
    });
    columns(&["Ethertype", ">Frames", ""], rows)
}

fn senders(stats: &TrafficStats) -> String {
    let mut text = String::new();
    for (mac, sender) in &stats.senders {
        let rows = sender.records.iter().map(|(kind, count)| {
            let length = format!("0x{:02X}", kind.length);
            let record_type = format!("0x{:04X}", kind.record_type);
            vec![length, record_type, HumanCount(*count).to_string(), kind.decoder()]
        });
        let table = columns(&["Record", "Type", ">Count", "Read by"], rows);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n  From {mac}\n{table}");
    }
    text
}

/// `Grid -3,038 W, generation 3,250 W, heater 0 W, 10.21 kWh today, stopped`.
fn values(device: &CurrentDevice) -> String {
    const SHOWN: [(&str, &str, &str); 4] = [
        ("grid_pwr", "grid ", " W"),
        ("gen_pwr", "generation ", " W"),
        ("divert_pwr", "heater ", " W"),
        ("diverted_kWh", "", " kWh today"),
    ];
    let shown = SHOWN.iter().filter_map(|(key, before, after)| {
        device.get(key).map(|value| format!("{before}{}{after}", number(value)))
    });
    let state = EddiState::of(|key| device.get(key)).map(|state| state.word().to_lowercase());
    let text = shown.chain(state).collect::<Vec<_>>().join(", ");
    let mut letters = text.chars();
    letters.next().map_or(text.clone(), |first| first.to_uppercase().chain(letters).collect())
}

/// A number with separators between thousands.
fn number(value: Value) -> String {
    match value {
        Value::Integer(number) => {
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{}", HumanCount(number.unsigned_abs()))
        }
        other => other.to_string(),
    }
}

/// Columns of the terminal behind an indent; a file takes lines of any length.
fn columns_left(indent: usize) -> usize {
    terminal::width().map_or(usize::MAX, usize::from).saturating_sub(indent)
}

/// Indented columns below headings, as wide as the terminal at most.
fn columns(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = table(headings, rows);
    if let Some(width) = terminal::width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.trim_fmt()
}

/// Indented columns below headings; one that begins with `>` is of numbers, which stand to the
/// right.
fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
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
    table
}
