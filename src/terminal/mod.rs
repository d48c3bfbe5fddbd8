//! What is shown to people in a terminal.

pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod sanitize;
pub(crate) mod style;
