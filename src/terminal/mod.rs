//! What is shown to people in a terminal.

pub mod progress;
pub mod prompt;
pub mod sanitize;
pub mod style;
