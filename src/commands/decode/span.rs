//! Knowledge about the bytes of a record.

use std::ops::Range;

use anstyle::{AnsiColor, Style};
use energi_decoders::frame::RECORDS;
use energi_decoders::{Confidence, Field, HeaderField, Raw, Reading, Record, Value, header};

use crate::commands::line::{DIM, Figure, PLAIN, in_colour};

/// Fields take these in turn, so that neighbours differ.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::Magenta];

/// Bytes that mean something.
pub(super) struct Span<'a> {
    /// Offset of its start from the record's own.
    pub(super) start: usize,
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a str,
    pub(super) figure: Figure,
    pub(super) unit: &'a str,
    /// The one bit that it is, and whether that is set.
    pub(super) bit: Option<(u8, bool)>,
    pub(super) confidence: Option<Confidence>,
    pub(super) style: Style,
}

impl Span<'_> {
    /// The bytes in the record's.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.bytes.len()
    }

    /// Returns whether these bytes are wholly understood, so that other readings of them are of no
    /// use.
    pub(super) fn is_explained(&self) -> bool {
        self.bit.is_none() && self.confidence != Some(Confidence::C)
    }
}

/// Everything known of a record's bytes, by place: its header, then serial numbers and fields.
pub(super) fn of<'a>(record: &Record<'a>, readings: &'a [Reading]) -> Vec<Span<'a>> {
    let header = header::RECORD.iter().filter_map(|field| in_header(record, field));
    let mut spans: Vec<_> = header.collect();
    let mut colours = COLOURS.iter().cycle().copied().map(in_colour);
    let mut colour = || colours.next().unwrap_or(PLAIN);
    for (index, reading) in readings.iter().enumerate() {
        let place = reading.layout().serial;
        if readings[..index].iter().all(|other| other.layout().serial != place) {
            spans.extend(serial(record, reading, colour()));
        }
        let fields = reading.fields();
        spans.extend(fields.filter_map(|(field, value)| {
            let place = reading.layout().place(field, record)?;
            in_body(record, place, field, value, colour())
        }));
    }
    // Stable: the order of the tables stands where two begin at the same byte.
    spans.sort_by_key(|span| span.start);
    spans
}

fn in_header<'a>(record: &Record<'a>, field: &'static HeaderField) -> Option<Span<'a>> {
    let bytes = record.slice(field.offset, field.size)?;
    let number = bytes.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let digits = 2 * bytes.len();
    Some(Span {
        start: usize::from(field.offset) - RECORDS,
        bytes,
        name: field.name,
        figure: Figure::new(format_args!("0x{number:0digits$X}")),
        unit: "",
        bit: None,
        confidence: None,
        style: DIM,
    })
}

fn serial<'a>(record: &Record<'a>, reading: &Reading, style: Style) -> Option<Span<'a>> {
    let offset = reading.layout().serial;
    Some(Span {
        start: usize::from(offset).checked_sub(RECORDS)?,
        bytes: record.slice(offset, Raw::U32.size())?,
        name: "serial",
        figure: Figure::new(reading.serial),
        unit: "",
        bit: None,
        confidence: None,
        style,
    })
}

fn in_body<'a>(
    record: &Record<'a>,
    place: u8,
    field: &'a Field,
    value: Value,
    style: Style,
) -> Option<Span<'a>> {
    let bit = match (field.raw, value) {
        (Raw::Bit(bit), Value::Flag(set)) => Some((bit, set)),
        _ => None,
    };
    Some(Span {
        start: usize::from(place).checked_sub(RECORDS)?,
        bytes: record.slice(place, field.raw.size())?,
        name: field.key(),
        figure: Figure::new(value),
        unit: &field.metric.unit,
        bit,
        confidence: Some(field.confidence),
        style,
    })
}
