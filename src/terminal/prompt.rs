//! Questions to the person at the terminal.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Returns whether somebody can be asked: standard input and standard error are terminals.
#[must_use]
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to do something that cannot be undone.
///
/// # Errors
/// The terminal cannot be read, or its input has ended.
#[cfg(any(feature = "queue", feature = "mqtt", feature = "sqlite"))]
pub(crate) fn confirm(question: impl Display) -> io::Result<bool> {
    let answer = ask(format_args!("{question} There is no way back. [y/N]"), "")?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a line; an empty one stands for `default`.
///
/// # Errors
/// The terminal cannot be read, or its input has ended.
pub(crate) fn ask(question: impl Display, default: &str) -> io::Result<String> {
    let mut terminal = io::stderr().lock();
    let question = if default.is_empty() {
        format!("{question}:")
    } else {
        format!("{question} [{default}]:")
    };
    let width = super::width().map_or(usize::MAX, usize::from);
    write!(terminal, "{} ", super::wrapped(&question, width.saturating_sub(1)).join("\n"))?;
    terminal.flush()?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        writeln!(terminal)?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}

/// Asks for a line that the terminal does not show.
///
/// # Errors
/// As those of [`ask`].
pub(crate) fn ask_secret(question: impl Display) -> io::Result<String> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let answer = ask(question, "");
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    // The line break was not shown either.
    writeln!(io::stderr())?;
    answer
}
