//! Reports for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table};

use super::energy::{Energy, EnergyDay};
use super::period::{PeriodLength, PeriodTotal, totals};

/// Stands where a value is unknown.
const UNKNOWN: &str = "–";

/// A table for each device, its totals below.
pub(super) fn write(
    days: &[EnergyDay],
    step: PeriodLength,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let totals = totals(days, step);
    for (index, device) in totals.chunk_by(|a, b| a.serial == b.serial).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_device(device, step, width, out)?;
    }
    if totals.iter().any(PeriodTotal::is_incomplete) {
        writeln!(out, "\n{}", note(step))?;
    }
    Ok(())
}

fn note(step: PeriodLength) -> &'static str {
    match step {
        PeriodLength::Day => {
            "* Incomplete: the device was not heard all day long.\n  \
             Some energy may be missing."
        }
        PeriodLength::Month | PeriodLength::Year => {
            "* On some days the device was not heard all day long.\n  \
             Some energy may be missing."
        }
    }
}

fn write_device(
    device: &[PeriodTotal],
    step: PeriodLength,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = device.first() else { return Ok(()) };
    writeln!(out, "Device {}", first.serial)?;

    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(header(step));
    for total in device {
        table.add_row(row(&total.period.to_string(), total));
    }
    table.add_row(row("Total", &sum(first, device)));
    for column in table.column_iter_mut().skip(1) {
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

fn sum(first: &PeriodTotal, device: &[PeriodTotal]) -> PeriodTotal {
    PeriodTotal {
        energy: device.iter().map(|total| total.energy).sum(),
        days: device.iter().map(|total| total.days).sum(),
        complete_days: device.iter().map(|total| total.complete_days).sum(),
        ..*first
    }
}

fn header(step: PeriodLength) -> Vec<Cell> {
    let first = match step {
        PeriodLength::Day => "Date",
        PeriodLength::Month => "Month",
        PeriodLength::Year => "Year",
    };
    let energies = ["Diverted\nkWh", "Import\nkWh", "Export\nkWh", "Generation\nkWh"];
    let days: &[&str] = match step {
        PeriodLength::Day => &[],
        PeriodLength::Month | PeriodLength::Year => &["Days", "Complete\ndays"],
    };
    [first].into_iter().chain(energies).chain(days.iter().copied()).map(Cell::new).collect()
}

fn row(name: &str, total: &PeriodTotal) -> Vec<Cell> {
    let mark = if total.is_incomplete() { " *" } else { "" };
    let Energy { diverted, import, export, generation } = total.energy;
    let mut cells = vec![Cell::new(format!("{name}{mark}"))];
    cells.extend([diverted, import, export, generation].map(|kwh| {
        Cell::new(kwh.map_or_else(|| UNKNOWN.to_owned(), |kwh| format!("{:.2}", kwh + 0.0)))
    }));
    if total.period.step != PeriodLength::Day {
        cells.extend([total.days, total.complete_days].map(Cell::new));
    }
    cells
}
