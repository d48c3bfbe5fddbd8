//! Exit codes, and the error that carries one to the program's edge.

use std::fmt;

/// Reason why the program ends, as sysexits.h(3head) numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The command line is wrong.
    Usage = 64,
    /// The input is damaged or of another kind.
    Data = 65,
    /// The input is not there.
    NoInput = 66,
    /// A server or sink could not be reached.
    Unavailable = 69,
    /// Reading or writing failed.
    Io = 74,
    /// The operating system forbids it.
    Permission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// An error with the exit code that it ends the program with.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Failure, place and remedy.
    pub error: anyhow::Error,
}

impl Failure {
    /// An error that ends the program with `exit`.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// A message that ends the program with `exit`.
    pub fn message(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, error: anyhow::Error::msg(message.to_string()) }
    }
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 7] = [
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Io,
        Self::Permission,
        Self::Config,
    ];

    /// Returns what it says of a run, for the manual.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Usage => "The command line is wrong.",
            Self::Data => {
                "The input is damaged or of another kind. Everything readable was delivered."
            }
            Self::NoInput => "The input is not there.",
            Self::Unavailable => "A server, a sink or a device could not be reached.",
            Self::Io => "Reading or writing failed.",
            Self::Permission => "The operating system forbids it.",
            Self::Config => "The configuration is wrong.",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Serves programs that use the gateway as a library.
impl std::error::Error for Failure {}
