//! Output for people in a terminal.

pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod sanitize;
pub(crate) mod style;

use std::io;

/// Columns of the terminal that standard output is; `None` where standard output is none: a file or
/// a program takes lines of any length.
pub(crate) fn width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

/// Lines of whole words, none longer than `width` columns unless one word is.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
