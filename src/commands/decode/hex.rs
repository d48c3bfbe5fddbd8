//! `--format hex`: each record byte by byte, with what is known of each, and beside bytes that nothing
//! explains what they would be as numbers.

use std::fmt::Display;
use std::io::{self, Write};

use energi_decoders::frame::RECORDS;
use energi_decoders::{Reading, Record};

use super::block::{self, Bytes, RecordOrigin};
use super::span::{self, Span};
use crate::commands::line::{Column, DIM, Line, PLAIN};

/// Columns that bytes take: four in hex, or one and its bits.
const BYTES: usize = 11;

/// Writes a record, and the fields of its readings in it.
pub(super) fn write(
    out: &mut dyn Write,
    line: &mut Line,
    from: RecordOrigin,
    record: &Record<'_>,
    readings: &[Reading],
) -> io::Result<()> {
    if readings.is_empty() {
        block::unknown(out, line, from, record)?;
    } else {
        block::known(out, line, from, record, readings)?;
    }
    let spans = span::of(record, readings);
    Drawing::new(record.bytes(), &spans).write(out, line)?;
    writeln!(out)
}

/// A record as it is drawn: its bytes, what is known of them, and how wide the columns are.
struct Drawing<'a> {
    bytes: &'a [u8],
    spans: &'a [Span<'a>],
    /// The first span that takes each byte.
    owners: Vec<Option<&'a Span<'a>>>,
    names: usize,
    figures: Column,
    units: usize,
}

impl<'a> Drawing<'a> {
    fn new(bytes: &'a [u8], spans: &'a [Span<'a>]) -> Self {
        let mut owners = vec![None; bytes.len()];
        for span in spans {
            for owner in owners.get_mut(span.range()).unwrap_or_default() {
                owner.get_or_insert(span);
            }
        }
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
        Self {
            bytes,
            spans,
            owners,
            names: widest(&mut spans.iter().map(|span| span.name.chars().count())),
            figures: Column::of(spans.iter().map(|span| &span.figure)),
            units: widest(&mut spans.iter().map(|span| span.unit.chars().count())),
        }
    }

    fn write(&self, out: &mut dyn Write, line: &mut Line) -> io::Result<()> {
        line.blank(2).put(DIM, "at").blank(4).left(BYTES, DIM, "bytes").blank(2);
        line.blank(self.names + 2 + self.figures.width() + 1 + self.units + 2 + 1 + 2);
        numbers(line, ["u8", "i16", "u16", "u32"].map(Some));
        line.end(out)?;
        let mut spans = self.spans.iter().peekable();
        for (index, owner) in self.owners.iter().enumerate() {
            let mut place = Some(index);
            while let Some(span) = spans.next_if(|span| span.start == index) {
                self.known(line, place.take(), span);
                line.end(out)?;
            }
            if owner.is_none() {
                self.unknown(line, index);
                line.end(out)?;
            }
        }
        Ok(())
    }

    /// A row of bytes that mean something; `place` unless the row above is of the same place.
    fn known(&self, line: &mut Line, place: Option<usize>, span: &Span<'_>) {
        match place {
            Some(index) => at(line, index),
            None => _ = line.blank(8),
        }
        self.draw(line, place.is_some(), span);
        line.left(self.names, span.style, span.name).blank(2);
        self.figures.add(line, span.style, &span.figure);
        line.blank(1).left(self.units, span.style, span.unit).blank(2);
        match span.confidence {
            Some(confidence) => {
                line.put(block::style_of_confidence(confidence), confidence.letter());
            }
            None => _ = line.blank(1),
        }
        line.blank(2);
        let numbers_wanted = place.is_some() && !span.is_explained();
        self.readings(line, span.start, numbers_wanted);
        let mut before = "overlaps ";
        for name in self.overlapped(span) {
            line.put(DIM, format_args!("{before}{name}"));
            before = ", ";
        }
    }

    /// A row of one byte that means nothing yet.
    fn unknown(&self, line: &mut Line, index: usize) {
        at(line, index);
        line.left(BYTES, PLAIN, Bytes(self.bytes.get(index..=index).unwrap_or_default())).blank(2);
        line.blank(self.names + 2 + self.figures.width() + 1 + self.units + 2 + 1 + 2);
        self.readings(line, index, true);
    }

    /// The bytes of a span, those that belong to another one too less prominent; of a flag its byte
    /// and which bit of it.
    fn draw(&self, line: &mut Line, byte_wanted: bool, span: &Span<'_>) {
        if let Some((bit, set)) = span.bit {
            line.left(3, span.style, if byte_wanted { Bytes(span.bytes) } else { Bytes(&[]) });
            let digit = |at| match (at == bit, set) {
                (false, _) => '·',
                (true, true) => '1',
                (true, false) => '0',
            };
            let bits: String = (0..8).rev().map(digit).collect();
            line.left(BYTES - 3 + 2, span.style, bits);
            return;
        }
        let owners = self.owners.get(span.range()).unwrap_or_default();
        for (byte, owner) in span.bytes.iter().zip(owners) {
            let own = owner.is_some_and(|owner| std::ptr::eq(owner, span));
            line.left(3, if own { span.style } else { DIM }, format_args!("{byte:02X}"));
        }
        line.blank((BYTES + 2).saturating_sub(3 * span.bytes.len()));
    }

    /// The names of other spans that `span` shares bytes with, each once.
    fn overlapped(&self, span: &Span<'_>) -> Vec<&'a str> {
        let owners = self.owners.get(span.range()).unwrap_or_default().iter().flatten();
        let others = owners.filter(|owner| {
            let flags = owner.bit.is_some() && span.bit.is_some();
            !flags && !std::ptr::eq(**owner, span)
        });
        let mut names: Vec<_> = others.map(|owner| owner.name).collect();
        names.dedup();
        names
    }

    /// Writes the bytes from `index` on as numbers, if `wanted`.
    fn readings(&self, line: &mut Line, index: usize, wanted: bool) {
        let bytes = self.bytes.get(index..).filter(|_| wanted).unwrap_or_default();
        let byte = bytes.first();
        let two = bytes.first_chunk();
        let four = bytes.first_chunk();
        numbers(
            line,
            [
                byte.map(ToString::to_string),
                two.map(|bytes| i16::from_le_bytes(*bytes).to_string()),
                two.map(|bytes| u16::from_le_bytes(*bytes).to_string()),
                four.map(|bytes| u32::from_le_bytes(*bytes).to_string()),
            ],
        );
        line.blank(2);
    }
}

/// Adds where a row's bytes begin, in the protocol's own count.
fn at(line: &mut Line, index: usize) {
    line.blank(2).put(DIM, format_args!("0x{:02X}", RECORDS + index)).blank(2);
}

/// Adds the readings as u8, i16, u16 and u32.
fn numbers<T: Display>(line: &mut Line, readings: [Option<T>; 4]) {
    for (width, reading) in [3, 8, 7, 12].into_iter().zip(readings) {
        match reading {
            Some(reading) => line.right(width, PLAIN, reading),
            None => line.blank(width),
        };
    }
}
