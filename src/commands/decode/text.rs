//! `--format text`: each reading as a table, one field a row.

use std::io::{self, Write};

use energi_decoders::{Field, Reading, Record};

use super::block::{self, Bytes, RecordOrigin};
use crate::commands::line::{BOLD, Column, DIM, Figure, Line, PLAIN};

/// Writes the readings of a record, or its bytes where there are none.
pub(super) fn write(
    out: &mut dyn Write,
    line: &mut Line,
    from: RecordOrigin,
    record: &Record<'_>,
    readings: &[Reading],
) -> io::Result<()> {
    if readings.is_empty() {
        block::unknown(out, line, from, record)?;
        block::dump(out, line, record.bytes())?;
        writeln!(out)?;
    }
    for reading in readings {
        block::known(out, line, from, record, std::slice::from_ref(reading))?;
        fields(out, line, record, reading)?;
        writeln!(out)?;
    }
    Ok(())
}

fn fields(
    out: &mut dyn Write,
    line: &mut Line,
    record: &Record<'_>,
    reading: &Reading,
) -> io::Result<()> {
    let rows: Vec<(&Field, Figure, String)> =
        reading.fields().map(|(field, value)| (field, Figure::new(value), rule(field))).collect();
    let layout = reading.layout();
    let width = |of: fn(&Field) -> &str| {
        rows.iter().map(|(field, ..)| of(field).chars().count()).max().unwrap_or_default()
    };
    let keys = width(Field::key);
    let units = width(|field| &field.metric.unit);
    let rules = rows.iter().map(|(.., rule)| rule.len()).max().unwrap_or_default();
    let bytes = rows.iter().map(|(field, ..)| usize::from(field.raw.size())).max();
    let bytes = (3 * bytes.unwrap_or_default()).saturating_sub(1);
    let figures = Column::of(rows.iter().map(|(_, figure, _)| figure));

    for (field, figure, rule) in &rows {
        line.blank(2).left(keys, PLAIN, field.key()).blank(2);
        figures.add(line, BOLD, figure);
        line.blank(1).left(units, PLAIN, &field.metric.unit).blank(2);
        let place = layout.place(field, record).unwrap_or(field.offset);
        line.put(DIM, format_args!("0x{place:02X}")).blank(1);
        line.left(rules, DIM, rule).blank(2);
        let raw = record.slice(place, field.raw.size()).unwrap_or_default();
        line.left(bytes, DIM, Bytes(raw)).blank(2);
        let confidence = field.confidence;
        line.put(block::style_of_confidence(confidence), confidence.letter()).blank(2);
        line.put(DIM, &field.metric.label).end(out)?;
    }
    Ok(())
}

/// Returns how the bytes become the value: `u16 / 100`, and which entry they stand in.
fn rule(field: &Field) -> String {
    let mut rule = field.raw.name().into_owned();
    if let Some(entry) = field.entry {
        rule = format!("{rule} in {entry}");
    }
    let scale = field.scale();
    if !scale.is_empty() {
        rule.push(' ');
        rule.push_str(&scale);
    }
    rule
}
