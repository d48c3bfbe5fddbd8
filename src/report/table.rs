//! Reports for people.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::iter;

use energi_sinks::energy::{EnergyDay, PeriodLength, PeriodTotal, grouped, totals, without_energy};
use jiff::civil::Date;

use super::ReportStyle;
use crate::terminal::wrapped;

/// Stands where a value is unknown.
const UNKNOWN: &str = "–";

/// Lines of the heading.
const HEADING: usize = 2;

/// Columns of space between two texts.
const GAP: usize = 3;

/// Heading of the money that was saved.
const SAVED: [&str; HEADING] = ["Saved", ""];

/// The narrowest and the widest bar of a whole, in columns.
const BAR: std::ops::RangeInclusive<usize> = 8..=40;

/// A table for each device, its totals below.
pub(super) fn write(
    days: &[EnergyDay],
    length: PeriodLength,
    style: &ReportStyle,
    width: Option<u16>,
    bars: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut totals = totals(days, length);
    let without = without_energy(&totals);
    totals.retain(|total| !without.contains(&total.serial));
    let table = DeviceTable { length, style, width: width.map(usize::from), bars };
    for (index, device) in totals.chunk_by(|a, b| a.serial == b.serial).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        table.write(device, out)?;
    }
    if !without.is_empty() {
        let serials: Vec<_> = without.iter().map(u32::to_string).collect();
        note(&format!("No energy is known of {}.", serials.join(", ")), width, out)?;
    }
    if totals.iter().any(|total| table.is_marked(total)) {
        let on = if length == PeriodLength::Day { "" } else { " on some days" };
        let text = "* Incomplete: the device was not received all day";
        note(&format!("{text}{on}. Energy may be missing."), width, out)?;
    }
    if let Some(tariff) = style.tariff.as_ref().filter(|_| !totals.is_empty()) {
        // A narrow terminal has no room for the column.
        let saved = grouped(style.savings.by_device().values().sum(), 2);
        let saved = format!("{saved} {}", tariff.currency);
        let text = "diverted energy at import price less export price. Boost energy, if the \
                    device's counter includes it, is counted as diverted.";
        note(&format!("Saved {}: {text}", saved.trim_end()), width, out)?;
    }
    Ok(())
}

/// A paragraph below the tables.
fn note(text: &str, width: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    const WIDEST: u16 = 100;
    let width = width.unwrap_or(WIDEST).min(WIDEST);
    writeln!(out, "\n{}", wrapped(text, width.into()).join("\n"))
}

struct DeviceTable<'a> {
    length: PeriodLength,
    style: &'a ReportStyle,
    width: Option<usize>,
    bars: bool,
}

/// A column: its heading and its text for a total, and when it is dropped on a narrow terminal, the
/// highest first.
struct Column<'a> {
    heading: [&'static str; HEADING],
    dropped: u8,
    text: Box<dyn Fn(&PeriodTotal) -> String + 'a>,
}

impl DeviceTable<'_> {
    fn write(&self, device: &[PeriodTotal], out: &mut dyn Write) -> io::Result<()> {
        let Some(first) = device.first() else { return Ok(()) };
        match self.style.names.get(&first.serial) {
            Some(name) => writeln!(out, "{name} ({})", first.serial)?,
            None => writeln!(out, "Device {}", first.serial)?,
        }
        let names = self.names(device);
        let name_width = widest(&names);
        let mut lines: Vec<_> = names.iter().map(|name| format!(" {name:name_width$}")).collect();
        let mut width = 1 + name_width;
        let bars = if self.bars { GAP + BAR.start() } else { 0 };
        let sum = sum(first, device);
        let mut columns = self.columns(device);
        columns.sort_by_key(|column| column.dropped);
        for (index, column) in columns.iter().enumerate() {
            let texts = self.texts(column, device, &sum);
            let room = GAP + widest(&texts);
            if index > 0 && self.width.is_some_and(|most| width + room + bars + 1 > most) {
                break;
            }
            append(&mut lines, &texts, room);
            width += room;
        }
        if self.bars {
            let room = self.width.map_or(*BAR.end(), |most| most.saturating_sub(width + GAP + 1));
            let bars = bars_of(device, room.clamp(*BAR.start(), *BAR.end()));
            width += widest(&bars);
            append(&mut lines, &bars, 0);
        }
        let rule = "─".repeat(width + 1);
        let total = lines.len() - 1;
        for (row, line) in lines.iter().enumerate() {
            if row == HEADING || row == total {
                writeln!(out, "{rule}")?;
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// The first column: its heading, the periods and the total.
    fn names(&self, device: &[PeriodTotal]) -> Vec<String> {
        let heading = match self.length {
            PeriodLength::Day => "Date",
            PeriodLength::Week => "Week",
            PeriodLength::Month => "Month",
            PeriodLength::Year => "Year",
        };
        let is_marked = device.iter().any(|total| self.is_marked(total));
        let total = if is_marked { "Total *" } else { "Total" };
        let mut names = vec![heading.to_owned(), String::new()];
        names.extend(device.iter().map(|total| self.name(total)));
        names.push(total.to_owned());
        names
    }

    /// Another column: its heading, its text for each period and for all of them.
    fn texts(&self, column: &Column<'_>, device: &[PeriodTotal], sum: &PeriodTotal) -> Vec<String> {
        let mut texts: Vec<_> = column.heading.map(str::to_owned).into();
        texts.extend(device.iter().map(|total| (column.text)(total)));
        texts.push(self.total_text(column, sum));
        texts
    }

    /// The columns that the device has something for.
    fn columns(&self, device: &[PeriodTotal]) -> Vec<Column<'_>> {
        let column = |heading, dropped, text: Box<dyn Fn(&PeriodTotal) -> String>| Column {
            heading,
            dropped,
            text,
        };
        let mut columns = vec![
            column(["Diverted", "kWh"], 0, Box::new(|total| kwh(total.energy.diverted))),
            column(["Import", "kWh"], 1, Box::new(|total| kwh(total.energy.import))),
            column(["Export", "kWh"], 2, Box::new(|total| kwh(total.energy.export))),
            column(["Generation", "kWh"], 3, Box::new(|total| kwh(total.energy.generation))),
        ];
        if device.iter().any(|total| total.energy.self_sufficiency().is_some()) {
            columns.push(column(
                ["Self-con-", "sumption"],
                5,
                Box::new(|total| percent(total.energy.self_consumption())),
            ));
            columns.push(column(
                ["Self-suf-", "ficiency"],
                6,
                Box::new(|total| percent(total.energy.self_sufficiency())),
            ));
        }
        if self.style.tariff.is_some() {
            let savings = &self.style.savings;
            columns.push(Column {
                heading: SAVED,
                dropped: 4,
                text: Box::new(|total| money(savings.of(total.serial, total.period))),
            });
        }
        if self.length != PeriodLength::Day {
            columns.push(column(["Days", ""], 7, Box::new(|total| total.days.to_string())));
            columns.push(column(
                ["Complete", "days"],
                8,
                Box::new(|total| total.complete_days.to_string()),
            ));
        }
        columns
    }

    /// Text of a column in the last row.
    fn total_text(&self, column: &Column<'_>, sum: &PeriodTotal) -> String {
        if column.heading != SAVED {
            return (column.text)(sum);
        }
        let saved = money(self.style.savings.by_device().get(&sum.serial).copied());
        let currency = self.style.tariff.as_ref().map_or("", |tariff| tariff.currency.as_str());
        format!("{saved} {currency}").trim_end().to_owned()
    }

    fn name(&self, total: &PeriodTotal) -> String {
        let so_far = if self.is_running(total) { " so far" } else { "" };
        let mark = if self.is_marked(total) { " *" } else { "" };
        format!("{}{so_far}{mark}", total.period)
    }

    fn is_running(&self, total: &PeriodTotal) -> bool {
        let holds = |today: Date| (total.period.start..=total.period.end()).contains(&today);
        self.style.today.is_some_and(holds)
    }

    /// Returns whether energy may be missing on a day that is over.
    fn is_marked(&self, total: &PeriodTotal) -> bool {
        let running = u32::from(self.is_running(total) && total.is_incomplete());
        total.days - total.complete_days > running
    }
}

/// Adds a column to the lines, aligned to the right in `room`.
fn append(lines: &mut [String], texts: &[String], room: usize) {
    for (line, text) in lines.iter_mut().zip(texts) {
        let _infallible = write!(line, "{text:>room$}");
    }
}

fn widest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.chars().count()).max().unwrap_or(0)
}

fn sum(first: &PeriodTotal, device: &[PeriodTotal]) -> PeriodTotal {
    PeriodTotal {
        energy: device.iter().map(|total| total.energy).sum(),
        days: device.iter().map(|total| total.days).sum(),
        complete_days: device.iter().map(|total| total.complete_days).sum(),
        ..*first
    }
}

fn kwh(kwh: Option<f64>) -> String {
    kwh.map_or_else(|| UNKNOWN.to_owned(), |kwh| grouped(kwh, 2))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| UNKNOWN.to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn money(amount: Option<f64>) -> String {
    amount.map_or_else(|| UNKNOWN.to_owned(), |amount| grouped(amount, 2))
}

/// Bars of the diverted energy beside the periods, in `width` columns and a gap.
fn bars_of(device: &[PeriodTotal], width: usize) -> Vec<String> {
    let diverted = || device.iter().map(|total| total.energy.diverted.unwrap_or(0.0));
    let most = diverted().fold(0.0, f64::max);
    let bars = diverted().map(|diverted| format!("{:GAP$}{}", "", bar(diverted, most, width)));
    iter::repeat_n(String::new(), HEADING).chain(bars).collect()
}

/// A bar of `width` columns where `value` is `most`, to the eighth of a column.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some columns")]
fn bar(value: f64, most: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let whole = u32::try_from(width * 8).unwrap_or(u32::MAX);
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * f64::from(whole)).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
