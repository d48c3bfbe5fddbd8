//! Answers as tables for people or JSON for programs.

use std::fmt::Write;
use std::io;

use anstyle::Style;
use clap::ValueEnum;
use serde::Serialize;

use crate::commands::line::{BOLD, DIM, Line, PLAIN};
use crate::platform::exit::{Exit, Failure};
use crate::terminal::style;

/// Format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

/// Stands where there is nothing to say.
pub(super) const NONE: &str = "–";

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    is_numbers: bool,
    spare: u8,
}

impl Column {
    /// Text, which stands to the left.
    pub(super) const fn text(heading: &'static str) -> Self {
        Self { heading, is_numbers: false, spare: 0 }
    }

    /// Numbers, which stand to the right.
    pub(super) const fn numbers(heading: &'static str) -> Self {
        Self { heading, is_numbers: true, spare: 0 }
    }

    /// The column that is left out first, second and so on where the terminal is too narrow.
    pub(super) const fn spare(self, order: u8) -> Self {
        Self { spare: order, ..self }
    }
}

/// Cell of a table row.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text that stands out.
    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(PLAIN, text)
    }
}

/// Rows below headings, as wide as the terminal allows.
pub(super) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let stdout = io::stdout();
    let room = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0.into());
    draw(columns, &rows.into_iter().collect::<Vec<_>>(), room, style::wanted(&stdout))
}

/// Blanks between two columns.
const GAP: usize = 3;

fn draw(columns: &[Column], rows: &[Vec<Cell>], room: Option<usize>, coloured: bool) -> String {
    let count = |text: &str| text.chars().count();
    let width = |(index, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| count(&cell.text));
        cells.max().unwrap_or(0).max(count(column.heading))
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(width).collect();
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mut left_out = Vec::new();
    // One blank stands before the first column, and one after the last.
    let taken = |shown: &[usize]| shown.iter().map(|index| widths[*index] + GAP).sum::<usize>() - 1;
    while room.is_some_and(|room| taken(&shown) > room) {
        let spare = shown.iter().copied().filter(|index| columns[*index].spare > 0);
        let Some(next) = spare.min_by_key(|index| columns[*index].spare) else { break };
        shown.retain(|index| *index != next);
        left_out.push(columns[next].heading);
    }

    let mut line = Line::new(coloured);
    let mut row = |cells: &mut dyn Iterator<Item = (usize, Style, &str)>| {
        for (place, (index, style, cell)) in cells.enumerate() {
            line.blank(if place == 0 { 1 } else { GAP });
            if columns[index].is_numbers {
                line.right(widths[index], style, cell);
            } else {
                line.left(widths[index], style, cell);
            }
        }
        line.take() + "\n"
    };
    let mut text = row(&mut shown.iter().map(|index| (*index, BOLD, columns[*index].heading)));
    let dim = |words: String| Line::new(coloured).put(DIM, words).take() + "\n";
    text += &dim("─".repeat(taken(&shown)));
    for cells in rows {
        text += &row(&mut shown.iter().filter_map(|index| {
            cells.get(*index).map(|cell| (*index, cell.style, cell.text.as_str()))
        }));
    }
    if !left_out.is_empty() {
        text += &dim(format!(" Too narrow for: {}", left_out.join(", ")));
    }
    text
}

/// An answer as indented JSON with a line break at its end.
pub(super) fn json(answer: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(answer)
        .map_err(|error| Failure::new(Exit::Io, anyhow::Error::new(error)))?;
    text.push('\n');
    Ok(text)
}

/// Bytes in hex, as the JSON lines of unknown records write them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_loses_columns_rather_than_words() {
        let columns = [
            Column::text("Name"),
            Column::numbers("Count").spare(2),
            Column::text("Sample").spare(1),
        ];
        let rows = [vec!["grid".into(), "12".into(), "0x22533510".into()]];
        let wide =
            " Name   Count   Sample\n───────────────────────────\n grid      12   0x22533510\n";
        assert_eq!(draw(&columns, &rows, None, false), wide);
        assert_eq!(draw(&columns, &rows, Some(27), false), wide);
        let narrow = draw(&columns, &rows, Some(26), false);
        assert!(narrow.starts_with(" Name   Count\n──────────────\n grid      12\n"), "{narrow}");
        assert!(narrow.ends_with("Sample\n"), "{narrow}");
        let least = draw(&columns, &rows, Some(1), false);
        assert!(least.starts_with(" Name\n──────\n grid\n"), "{least}");
        assert!(least.ends_with("Sample, Count\n"), "{least}");
    }

    #[test]
    fn colours_take_no_room() {
        let rows = [vec![Cell::styled(BOLD, "a"), "b".into()]];
        let columns = [Column::text("One"), Column::text("Two")];
        let coloured = draw(&columns, &rows, None, true);
        assert!(coloured.ends_with("\u{1b}[1ma\u{1b}[0m     b\n"), "{coloured:?}");
    }
}
