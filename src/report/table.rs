//! Reports for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};
use energi_sinks::energy::{EnergyDay, PeriodLength, PeriodTotal, grouped, totals, without_energy};
use jiff::civil::Date;

use super::ReportStyle;
use crate::terminal::wrapped;

/// Stands where a value is unknown.
const UNKNOWN: &str = "–";

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
    heading: &'static str,
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
        let sum = sum(first, device);
        let mut columns = self.columns(device);
        columns.sort_by_key(|column| column.dropped);
        let mut names: Vec<String> = device.iter().map(|total| self.name(total)).collect();
        names.push(if device.iter().any(|total| self.is_marked(total)) {
            "Total *".to_owned()
        } else {
            "Total".to_owned()
        });
        let mut cells: Vec<Vec<String>> = Vec::new();
        for column in &columns {
            let mut texts: Vec<String> = device.iter().map(|total| (column.text)(total)).collect();
            texts.push(self.total_text(column, &sum));
            cells.push(texts);
        }
        let mut widths: Vec<usize> = columns
            .iter()
            .zip(&cells)
            .map(|(column, texts)| {
                let lines = column.heading.lines().map(str::to_owned).chain(texts.iter().cloned());
                lines.map(|line| line.chars().count()).max().unwrap_or(0) + 2
            })
            .collect();
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) + 2;
        let bar_width = if self.bars { BAR.start() + 3 } else { 0 };
        // A column of space lies between two columns.
        let needed =
            |widths: &[usize]| name_width + bar_width + widths.iter().sum::<usize>() + widths.len();
        while widths.len() > 1 && self.width.is_some_and(|width| needed(&widths) > width) {
            widths.pop();
        }
        let room = self.width.map_or(*BAR.end(), |width| {
            (width + BAR.start()).saturating_sub(needed(&widths)).clamp(*BAR.start(), *BAR.end())
        });
        columns.truncate(widths.len());
        cells.truncate(widths.len());
        self.print(device, &names, &columns, &cells, room, out)
    }

    fn print(
        &self,
        device: &[PeriodTotal],
        names: &[String],
        columns: &[Column<'_>],
        cells: &[Vec<String>],
        room: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
        let first = match self.length {
            PeriodLength::Day => "Date",
            PeriodLength::Week => "Week",
            PeriodLength::Month => "Month",
            PeriodLength::Year => "Year",
        };
        let mut heading = vec![first];
        heading.extend(columns.iter().map(|column| column.heading));
        if self.bars {
            heading.push("");
        }
        table.set_header(heading);
        let most = device.iter().filter_map(|total| total.energy.diverted).fold(0.0, f64::max);
        for (row, name) in names.iter().enumerate() {
            let mut line = vec![Cell::new(name)];
            let texts = cells.iter().map(|texts| texts.get(row).map_or("", String::as_str));
            line.extend(texts.map(|text| Cell::new(text).set_alignment(CellAlignment::Right)));
            if self.bars {
                let diverted = device.get(row).and_then(|total| total.energy.diverted);
                line.push(Cell::new(bar(diverted.unwrap_or(0.0), most, room)));
            }
            table.add_row(line);
        }
        for column in table.column_iter_mut().skip(1).take(columns.len()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let lines: Vec<String> = table.lines().collect();
        let rule = lines.iter().find(|line| line.starts_with('─'));
        for (index, line) in lines.iter().enumerate() {
            if let Some(rule) = rule.filter(|_| index + 1 == lines.len()) {
                writeln!(out, "{rule}")?;
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// The columns that the device has something for.
    fn columns(&self, device: &[PeriodTotal]) -> Vec<Column<'_>> {
        let column = |heading, dropped, text: Box<dyn Fn(&PeriodTotal) -> String>| Column {
            heading,
            dropped,
            text,
        };
        let mut columns = vec![
            column("Diverted\nkWh", 0, Box::new(|total| kwh(total.energy.diverted))),
            column("Import\nkWh", 1, Box::new(|total| kwh(total.energy.import))),
            column("Export\nkWh", 2, Box::new(|total| kwh(total.energy.export))),
            column("Generation\nkWh", 3, Box::new(|total| kwh(total.energy.generation))),
        ];
        if device.iter().any(|total| total.energy.self_sufficiency().is_some()) {
            columns.push(column(
                "Self-con-\nsumption",
                5,
                Box::new(|total| percent(total.energy.self_consumption())),
            ));
            columns.push(column(
                "Self-suf-\nficiency",
                6,
                Box::new(|total| percent(total.energy.self_sufficiency())),
            ));
        }
        if self.style.tariff.is_some() {
            let savings = &self.style.savings;
            columns.push(Column {
                heading: "Saved",
                dropped: 4,
                text: Box::new(|total| money(savings.of(total.serial, total.period))),
            });
        }
        if self.length != PeriodLength::Day {
            columns.push(column("Days", 7, Box::new(|total| total.days.to_string())));
            columns.push(column(
                "Complete\ndays",
                8,
                Box::new(|total| total.complete_days.to_string()),
            ));
        }
        columns
    }

    /// Text of a column in the last row.
    fn total_text(&self, column: &Column<'_>, sum: &PeriodTotal) -> String {
        if column.heading != "Saved" {
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

/// A bar of `width` columns where `value` is `most`, to the eighth of a column.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some columns")]
fn bar(value: f64, most: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let whole = u32::try_from(width * 8).unwrap_or(u32::MAX);
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * f64::from(whole)).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
