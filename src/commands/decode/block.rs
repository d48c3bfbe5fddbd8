//! Parts that the formats for people share: the line above a record, bytes that nothing explains.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use energi_decoders::frame::{RECORD_HEADER, RECORDS};
use energi_decoders::{Confidence, Layout, MacAddress, Reading, Record, Trust, packets};
use jiff::Timestamp;

use crate::commands::line::{BOLD, DIM, Line, PLAIN, in_colour};

/// Bytes in hex with blanks between them.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Origin of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordOrigin {
    /// Time of the capture of its frame.
    pub(super) time: Option<Timestamp>,
    /// Sender of the frame.
    pub(super) mac: Option<MacAddress>,
    /// The place in the frame, 1 the first.
    pub(super) number: usize,
}

/// Adds what is known of a record's origin.
fn origin(line: &mut Line, origin: RecordOrigin) {
    if let Some(time) = origin.time {
        line.put(PLAIN, format_args!("{time:.6}")).blank(2);
    }
    if let Some(mac) = origin.mac {
        line.put(PLAIN, mac).blank(2);
    }
}

/// Adds what the record's header says.
fn kind(line: &mut Line, number: usize, record: &Record<'_>) {
    line.blank(2).put(PLAIN, format_args!("type 0x{:04X}", record.record_type()));
    if number > 1 {
        line.blank(2).put(PLAIN, format_args!("record {number} of its frame"));
    }
}

/// The line above a record that decoders read: those that made `readings`.
pub(super) fn known(
    out: &mut dyn Write,
    line: &mut Line,
    from: RecordOrigin,
    record: &Record<'_>,
    readings: &[Reading],
) -> io::Result<()> {
    origin(line, from);
    line.put(BOLD, format_args!("0x{:02X}", record.length()));
    for (index, reading) in readings.iter().enumerate() {
        let Layout { name, status, .. } = reading.layout();
        let before = if index == 0 { " " } else { " + " };
        line.put(BOLD, format_args!("{before}{name}")).put(PLAIN, ", ");
        line.put(style_of(*status), status.name());
    }
    kind(line, from.number, record);
    let mut serials: Vec<_> = readings.iter().map(|reading| reading.serial).collect();
    serials.dedup();
    for serial in serials {
        line.blank(2).put(PLAIN, "serial ").put(BOLD, serial);
    }
    line.end(out)
}

/// The line above a record that no decoder reads.
pub(super) fn unknown(
    out: &mut dyn Write,
    line: &mut Line,
    from: RecordOrigin,
    record: &Record<'_>,
) -> io::Result<()> {
    let length = record.length();
    origin(line, from);
    line.put(BOLD, format_args!("0x{length:02X}")).put(PLAIN, " ");
    // A decoder that is on would have read it.
    let off: BTreeSet<_> = packets::all()
        .filter(|layout| layout.length.is_none_or(|wanted| wanted == length))
        .filter(|layout| layout.selects(record, None).is_ok())
        .map(Layout::prefix)
        .filter(|prefix| !prefix.is_empty())
        .collect();
    if off.is_empty() {
        line.put(in_colour(AnsiColor::Red), "unknown");
    } else {
        let off = off.into_iter().collect::<Vec<_>>().join(",");
        let switch = format_args!("not decoded (--experimental {off} is off)");
        line.put(in_colour(AnsiColor::Yellow), switch);
    }
    kind(line, from.number, record);
    line.end(out)
}

/// Writes what follows the last whole record of a frame: padding, or a record that is cut off.
pub(super) fn rest(
    out: &mut dyn Write,
    line: &mut Line,
    from: RecordOrigin,
    bytes: &[u8],
) -> io::Result<()> {
    let Some(&length) = bytes.first() else { return Ok(()) };
    let there = bytes.len();
    origin(line, from);
    if length == 0 {
        line.put(DIM, format_args!("padding, {there} bytes"));
    } else if usize::from(length) < RECORD_HEADER {
        let wrong = format_args!("not a record: one of {length} bytes is shorter than its header");
        line.put(in_colour(AnsiColor::Red), wrong);
    } else {
        line.put(BOLD, format_args!("0x{length:02X}")).put(PLAIN, " ");
        let missing = usize::from(length).saturating_sub(there);
        let cut = format_args!("cut off: {missing} of its {length} bytes are missing");
        line.put(in_colour(AnsiColor::Red), cut);
    }
    line.end(out)?;
    if bytes.iter().any(|byte| *byte != 0) {
        dump(out, line, bytes)?;
    }
    writeln!(out)
}

/// The bytes of a record, 16 a line.
pub(super) fn dump(out: &mut dyn Write, line: &mut Line, bytes: &[u8]) -> io::Result<()> {
    for (index, row) in bytes.chunks(16).enumerate() {
        line.blank(2).put(DIM, format_args!("0x{:02X}", RECORDS + 16 * index));
        line.blank(2).put(PLAIN, Bytes(row)).end(out)?;
    }
    Ok(())
}

/// Returns how a decoder's standing is shown.
fn style_of(status: Trust) -> Style {
    in_colour(match status {
        Trust::Confirmed => AnsiColor::Green,
        Trust::Experimental | Trust::Declared => AnsiColor::Yellow,
    })
}

/// Returns how a confidence is shown.
pub(super) fn style_of_confidence(confidence: Confidence) -> Style {
    in_colour(match confidence {
        Confidence::A => AnsiColor::Green,
        Confidence::B => AnsiColor::Yellow,
        Confidence::C => AnsiColor::Red,
    })
}
