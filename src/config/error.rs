//! Errors of a configuration, and their report.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// Line and column, counted from 1, where it has a place in the text.
    pub position: Option<(usize, usize)>,
    /// The path of the key, such as `sinks[1].path`; empty where no key is at fault.
    pub path: String,
    /// Problem and remedy.
    pub message: String,
    /// The line of the text, as far as it may be shown: no secret is in it.
    pub excerpt: Option<String>,
}

impl Fault {
    /// A fault of the file as a whole.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A fault of the text at a line and column.
    pub(super) fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { position: Some((line, column)), ..Self::new(message) }
    }

    /// The fault with the line of the text where it is.
    pub(super) fn quoting(self, text: &str) -> Self {
        Self { excerpt: self.position.and_then(|(line, _)| excerpt(text, line)), ..self }
    }
}

/// Parts of keys whose values nobody but their owner may see, misspelt or not.
const CONFIDENTIAL: [&str; 7] = ["pas", "pw", "tok", "sec", "auth", "cred", "key:"];

/// A longer line says more than a place.
const LONGEST: usize = 120;

/// A line of the text, unless a secret may stand in it.
fn excerpt(text: &str, line: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?.trim_end();
    let lower = line.to_lowercase();
    let confidential = CONFIDENTIAL.iter().any(|part| lower.contains(part))
        // A user and a password in a URL.
        || (lower.contains("://") && lower.contains('@'));
    let shown = !confidential && !line.trim().is_empty() && line.chars().count() <= LONGEST;
    shown.then(|| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Everything that is wrong with a configuration, in the order of the text: how many faults there
/// are, then each as `config.yaml:7:5: sinks[1].hots: unknown key ...` with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file; empty where none was found.
    pub file: PathBuf,
    /// Faults, one at least.
    pub faults: Vec<Fault>,
}

impl ConfigErrors {
    pub(super) fn of(file: &Path, faults: Vec<Fault>) -> Self {
        Self { file: file.to_owned(), faults }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        if self.faults.len() > 1 {
            writeln!(f, "{file}: {} errors", self.faults.len())?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if !self.file.as_os_str().is_empty() {
                write!(f, "{file}")?;
                if let Some((line, column)) = fault.position {
                    write!(f, ":{line}:{column}")?;
                }
                f.write_str(": ")?;
            }
            if !fault.path.is_empty() {
                write!(f, "{}: ", fault.path)?;
            }
            f.write_str(&fault.message)?;
            if let (Some(excerpt), Some((line, _))) = (&fault.excerpt, fault.position) {
                write!(f, "\n{line:6} | {excerpt}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_unless_a_secret_may_stand_in_it() {
        for line in [
            "  - {type: mqtt, pasword: hunter2, hots: a}",
            "    Token: hunter2",
            "    url: mqtt://user:hunter2@broker",
            "    api_key: hunter2",
        ] {
            assert_eq!(excerpt(line, 1), None, "{line}");
        }
        assert_eq!(excerpt("a: 1\n  hots: 5 \n", 2).as_deref(), Some("  hots: 5"));
    }
}
