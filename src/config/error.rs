//! What can be wrong with a configuration, and how it is said.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line and column, counted from 1, where it has a place in the text.
    pub position: Option<(usize, usize)>,
    /// The path of the key, such as `sinks[1].path`; empty where no key is at fault.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Fault {
    /// A fault of the file as a whole.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { position: None, path: String::new(), message: message.into() }
    }

    /// A fault of the text at a line and column.
    pub(super) fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { position: Some((line, column)), ..Self::new(message) }
    }
}

/// Everything that is wrong with a configuration, in the order of the text, one a line as
/// `config.yaml:7:5: sinks[1].hots: unknown key ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file; empty where none was found.
    pub file: PathBuf,
    /// At least one fault.
    pub faults: Vec<Fault>,
}

impl ConfigErrors {
    pub(super) fn of(file: &Path, faults: Vec<Fault>) -> Self {
        Self { file: file.to_owned(), faults }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if !self.file.as_os_str().is_empty() {
                write!(f, "{}", self.file.display())?;
                if let Some((line, column)) = fault.position {
                    write!(f, ":{line}:{column}")?;
                }
                f.write_str(": ")?;
            }
            if !fault.path.is_empty() {
                write!(f, "{}: ", fault.path)?;
            }
            f.write_str(&fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
