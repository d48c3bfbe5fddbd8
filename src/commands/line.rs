//! A line of aligned, perhaps coloured cells.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// Style of what is not worth a second look.
pub(super) const DIM: Style = Style::new().dimmed();

/// Style of a block's subject.
pub(super) const BOLD: Style = Style::new().bold();

/// Text as it is.
pub(super) const PLAIN: Style = Style::new();

/// Text in a colour of the terminal's own palette.
pub(super) const fn in_colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(colour)))
}

/// A line that is being written: cells from left to right. It never ends in blanks.
#[derive(Debug)]
pub(super) struct Line {
    coloured: bool,
    text: String,
    /// Blanks that are due once something follows them.
    blanks: usize,
    cell: String,
}

impl Line {
    /// An empty line.
    pub(super) fn new(coloured: bool) -> Self {
        Self { coloured, text: String::new(), blanks: 0, cell: String::new() }
    }

    /// Leaves `count` columns blank.
    pub(super) fn blank(&mut self, count: usize) -> &mut Self {
        self.blanks += count;
        self
    }

    /// A cell as wide as its content.
    pub(super) fn put(&mut self, style: Style, content: impl Display) -> &mut Self {
        self.left(0, style, content)
    }

    /// A cell of at least `width` columns, its content to the left.
    pub(super) fn left(&mut self, width: usize, style: Style, content: impl Display) -> &mut Self {
        let columns = self.render(content);
        self.add(style);
        self.blank(width.saturating_sub(columns))
    }

    /// A cell of at least `width` columns, its content to the right.
    pub(super) fn right(&mut self, width: usize, style: Style, content: impl Display) -> &mut Self {
        let columns = self.render(content);
        self.blank(width.saturating_sub(columns)).add(style);
        self
    }

    /// Writes the line to `out` and begins a new one.
    pub(super) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.text.push('\n');
        let written = out.write_all(self.text.as_bytes());
        self.text.clear();
        self.blanks = 0;
        written
    }

    /// The line as text, without a line break; a new one begins.
    #[cfg(feature = "research")]
    pub(super) fn take(&mut self) -> String {
        self.blanks = 0;
        std::mem::take(&mut self.text)
    }

    /// Renders the next cell and returns how many columns it takes.
    fn render(&mut self, content: impl Display) -> usize {
        self.cell.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.cell, "{content}");
        self.cell.chars().count()
    }

    fn add(&mut self, style: Style) {
        if self.cell.is_empty() {
            return;
        }
        self.text.extend(std::iter::repeat_n(' ', std::mem::take(&mut self.blanks)));
        if self.coloured && style != PLAIN {
            let _ = write!(self.text, "{style}{}{style:#}", self.cell);
        } else {
            self.text.push_str(&self.cell);
        }
    }
}

/// The text of a value, to be aligned at its decimal point.
#[derive(Debug)]
pub(super) struct Figure {
    text: String,
    /// Offset of its fraction, with the point.
    point: usize,
}

impl Figure {
    /// The text of `value`.
    pub(super) fn new(value: impl Display) -> Self {
        let text = value.to_string();
        let point = text.find('.').unwrap_or(text.len());
        Self { text, point }
    }
}

/// A column of figures: what they take before and from the decimal point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    whole: usize,
    fraction: usize,
}

impl Column {
    /// A column that is wide enough for `figures`.
    pub(super) fn of<'a>(figures: impl Iterator<Item = &'a Figure>) -> Self {
        figures.fold(Self { whole: 0, fraction: 0 }, |Self { whole, fraction }, figure| Self {
            whole: whole.max(figure.point),
            fraction: fraction.max(figure.text.len() - figure.point),
        })
    }

    /// Returns how many columns it takes.
    pub(super) const fn width(self) -> usize {
        self.whole + self.fraction
    }

    /// Adds `figure` to `line`.
    pub(super) fn add(self, line: &mut Line, style: Style, figure: &Figure) {
        let before = self.whole.saturating_sub(figure.point);
        line.blank(before).left(self.width() - before, style, &figure.text);
    }
}
