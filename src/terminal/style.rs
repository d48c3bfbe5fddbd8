//! Choice whether output has colours.

use std::io::IsTerminal;

/// Returns whether `stream` is a terminal whose user wants colours: `NO_COLOR` is not set, or empty
/// (no-color.org), and the terminal is not a dumb one.
#[must_use]
pub(crate) fn wanted(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
