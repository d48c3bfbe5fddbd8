//! Text from elsewhere that has to stay on its line.

use std::borrow::Cow;

/// The text with every control character as a space: a line break would begin a line that looks
/// like one of ours, and an escape would steer the reader's terminal.
#[must_use]
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ").into()
    } else {
        text.into()
    }
}
