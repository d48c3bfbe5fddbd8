//! Text and bars of the live view for a device. Nothing here touches a terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use energi_decoders::{Class, Value};
use energi_sinks::current::{CurrentDevice, CurrentValue};
use energi_sinks::energy::TodaysFlows;
use indicatif::HumanCount;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::gateway::SinkProgress;

/// Columns of a power's name and number, and the narrowest bar worth drawing.
const LABEL: usize = 18;
const NUMBER: usize = 10;
const NARROWEST_BAR: usize = 8;

/// Power at which a bar is full, unless a device shows more: the rating of common heaters.
const FULL_BAR: f64 = 3_000.0;

/// Name of a device: the configured one, else the serial number.
pub(super) fn name(names: &BTreeMap<u32, String>, serial: u32) -> Cow<'_, str> {
    names.get(&serial).map_or_else(|| serial.to_string().into(), |name| name.as_str().into())
}

/// The state, powers and energy of a device, each as a few words.
pub(super) fn summary(
    device: &CurrentDevice,
    flows: Option<&TodaysFlows>,
) -> impl Iterator<Item = String> {
    let state = device.state().map(|state| state.word().to_owned());
    let powers = powers(device)
        .map(move |(key, power)| format!("{} {}", label(device, key, power), with_unit(power)));
    let energies = energies(device, flows).map(|energy| {
        let Energy { label, number, since } = energy;
        format!("{label} {number}{since}")
    });
    state.into_iter().chain(powers).chain(energies)
}

/// The lines of one device, `width` columns wide.
pub(super) fn device(
    device: &CurrentDevice,
    flows: Option<&TodaysFlows>,
    age: Option<Duration>,
    width: usize,
    coloured: bool,
) -> Vec<Line<'static>> {
    let style = |color| if coloured { Style::new().fg(color) } else { Style::new() };
    let full =
        powers(device).map(|(_, current)| current.value.as_f64().abs()).fold(FULL_BAR, f64::max);
    let bar_width = width.saturating_sub(LABEL + NUMBER + 2);
    let mut lines = Vec::new();
    for (key, current) in powers(device) {
        let number = with_unit(current);
        let label = clipped(&label(device, key, current), LABEL - 1);
        let mut spans = vec![Span::raw(format!("{label:LABEL$}{number:>NUMBER$}  "))];
        if bar_width >= NARROWEST_BAR {
            let watts = current.value.as_f64();
            let color = if watts < 0.0 { Color::Green } else { Color::Yellow };
            spans.push(Span::styled(bar(watts.abs() / full, bar_width), style(color)));
        }
        lines.push(Line::from(spans));
    }
    for Energy { label, number, since } in energies(device, flows) {
        let label = clipped(&label, LABEL - 1);
        let since = if LABEL + NUMBER + since.len() <= width { &*since } else { "" };
        lines.push(Line::raw(format!("{label:LABEL$}{number:>NUMBER$}{since}")));
    }
    let mut state = Vec::new();
    if let Some(word) = device.state() {
        state.push(Span::styled(word.word(), Style::new().add_modifier(Modifier::BOLD)));
        state.push(Span::raw(", "));
    }
    for word in words(device) {
        state.push(Span::styled(word, Style::new().add_modifier(Modifier::BOLD)));
        state.push(Span::raw(", "));
    }
    state.push(Span::raw(
        age.map_or_else(String::new, |age| format!("last frame {} s ago", age.as_secs())),
    ));
    lines.push(Line::from(state));
    lines
}

/// A line for each sink of the running gateway: delivered and waiting.
pub(super) fn sinks(sinks: &[SinkProgress]) -> impl Iterator<Item = Line<'static>> {
    sinks.iter().map(|sink| {
        let name = clipped(&sink.name, LABEL - 1);
        let (delivered, waiting) = (HumanCount(sink.delivered), HumanCount(sink.waiting));
        let state = if sink.opened { "" } else { ", not open yet" };
        Line::raw(format!("{name:LABEL$}{delivered} delivered, {waiting} waiting{state}"))
    })
}

fn powers(device: &CurrentDevice) -> impl Iterator<Item = (&str, &CurrentValue)> {
    device.values().filter(|(_, current)| current.class == Class::Power)
}

/// Name of a value: its label, or the end of its key where the device has several of that label, as
/// a harvi's channels are.
fn label<'a>(device: &CurrentDevice, key: &'a str, current: &'a CurrentValue) -> Cow<'a, str> {
    let alike = device.values().filter(|(_, other)| other.label == current.label).count();
    if alike > 1 && key.contains('/') {
        key.rsplit('/').next().unwrap_or_default().replace('_', " ").into()
    } else {
        current.label.as_str().into()
    }
}

/// Words of the device's enumerations, such as a zappi's mode.
fn words(device: &CurrentDevice) -> impl Iterator<Item = &'static str> {
    device.values().filter_map(|(_, current)| match current.value {
        Value::Choice(choice) => Some(choice.word()),
        _ => None,
    })
}

/// An energy of a device.
struct Energy<'a> {
    label: Cow<'a, str>,
    number: String,
    /// Time from which it counts, where that is not the label's.
    since: String,
}

/// Energy by the device's own counters, which know the day, and by its powers, which count from the
/// start of the view or from midnight.
fn energies<'a>(
    device: &'a CurrentDevice,
    flows: Option<&TodaysFlows>,
) -> impl Iterator<Item = Energy<'a>> {
    let counters = device.values().filter(|(_, current)| current.class == Class::EnergyToday).map(
        |(_, current)| Energy {
            label: current.label.as_str().into(),
            number: with_unit(current),
            since: String::new(),
        },
    );
    let kwh = flows.map(TodaysFlows::kwh).unwrap_or_default();
    let since = flows.and_then(TodaysFlows::since);
    let since = since.map_or_else(String::new, |time| time.strftime(" since %H:%M").to_string());
    let flows = [("Imported", kwh.import), ("Exported", kwh.export), ("Generated", kwh.generation)];
    let flows = flows.into_iter().filter_map(move |(label, kwh)| {
        let number = format!("{:.2} kWh", kwh?);
        Some(Energy { label: label.into(), number, since: since.clone() })
    });
    counters.chain(flows)
}

/// A bar of eighths of a column, as long as `share` of `width`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and width")]
#[expect(clippy::cast_precision_loss, reason = "a terminal is not that wide")]
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn with_unit(current: &CurrentValue) -> String {
    let number = match current.value {
        Value::Integer(value) => {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}{}", HumanCount(value.unsigned_abs()))
        }
        Value::Float(value) if current.class == Class::EnergyToday => format!("{value:.2}"),
        other => other.to_string(),
    };
    if current.unit.is_empty() { number } else { format!("{number} {}", current.unit) }
}

fn clipped(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use energi_decoders::{DecoderTable, Frame};
    use energi_sinks::current::CurrentValues;

    use super::*;

    /// Lines of a device that exports 3,038 W, as text.
    fn lines(width: usize) -> Vec<String> {
        let mut frame = vec![0xCB, 0xDA, 0xE9, 0xF8];
        frame.resize(0x18 + 0x22, 0);
        frame[0x18] = 0x22;
        frame[0x1E..0x20].copy_from_slice(&(-3_038_i16).to_le_bytes());
        frame[0x2E] = 7;
        let frame = Frame::parse_payload(&frame).unwrap();
        let record = frame.records().next().unwrap();
        let reading = DecoderTable::confirmed().decode(&record).next().unwrap().unwrap();
        let mut values = CurrentValues::default();
        values.update(&reading);
        let age = Some(Duration::from_secs(3));
        device(values.device(7).unwrap(), None, age, width, false)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn powers_are_bars_on_a_wide_terminal() {
        let grid = lines(80).into_iter().find(|line| line.starts_with("Grid")).unwrap();
        assert!(grid.contains("-3,038 W") && grid.contains('█'), "{grid}");
    }

    #[test]
    fn a_narrow_terminal_keeps_the_numbers() {
        for width in [10, 30, 50, 80, 120] {
            let lines = lines(width);
            assert!(lines.iter().any(|line| line.contains("-3,038 W")), "{width}: {lines:?}");
            let widest = lines.iter().map(|line| line.trim_end().chars().count()).max();
            assert!(widest <= Some(width.max(LABEL + NUMBER)), "{width}: {lines:?}");
        }
    }

    #[test]
    fn the_age_of_the_last_frame_is_shown() {
        assert!(lines(50).last().unwrap().contains("3 s"));
    }
}
