//! Text as Lua writes it.

use std::fmt::{self, Display, Formatter, Write};

/// A string as a Lua literal.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                // Three digits, so that a digit after it is not taken for one of them.
                c if c.is_ascii_control() => write!(f, "\\{:03}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn what_would_end_the_string_is_escaped() {
        assert_eq!(Quoted("21 °C").to_string(), "\"21 °C\"");
        assert_eq!(Quoted("a \"b\" \\ c\n1").to_string(), r#""a \"b\" \\ c\0101""#);
    }
}
