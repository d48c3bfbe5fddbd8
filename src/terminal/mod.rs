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

/// Lines of a shell command, none longer than `width` columns unless one word is. The shell joins
/// them again.
pub(crate) fn wrapped_command(command: &str, width: usize) -> Vec<String> {
    // A quoted word may contain spaces, where a backslash would be a part of the word.
    if command.contains('\'') {
        return vec![command.to_owned()];
    }
    let mut lines = indented(command, width.saturating_sub(2));
    let last = lines.len().saturating_sub(1);
    lines.iter_mut().take(last).for_each(|line| line.push_str(" \\"));
    lines
}

/// Lines of whole words, those after the first two columns to the right.
pub(crate) fn indented(text: &str, width: usize) -> Vec<String> {
    let mut lines = wrapped(text, width.saturating_sub(2));
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "  "));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_several_lines_is_one_to_the_shell() {
        let command = "sudo energi-gateway record -i eth0 -o unknown.pcapng --only unknown";
        for width in [30, 44, 60, 80] {
            let lines = wrapped_command(command, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            let joined: Vec<_> = lines.iter().map(|line| line.trim_end_matches('\\')).collect();
            let words: Vec<_> = joined.iter().flat_map(|line| line.split_whitespace()).collect();
            assert_eq!(words.join(" "), command);
            let (last, others) = lines.split_last().unwrap();
            assert!(others.iter().all(|line| line.ends_with(" \\")) && !last.ends_with('\\'));
        }
        assert_eq!(wrapped_command("run '/my files/x' now", 8), ["run '/my files/x' now"]);
    }
}
