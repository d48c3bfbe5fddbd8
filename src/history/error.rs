use std::io;
use std::path::{Path, PathBuf};

use energi_sinks::sqlite::ReadError;
use rusqlite::ErrorCode;
use thiserror::Error;

use crate::platform::exit::{Exit, Failure};

/// The working directory of the packaged service.
const SERVICE: &str = "/var/lib/energi-gateway";

/// Reason why a history could not be read, copied or made smaller.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// No such file.
    #[error("{}: {}", .0.display(), missing(.0))]
    Missing(PathBuf),
    /// The file is something else, or what it holds cannot be.
    #[error("{}: {why}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// Problem and remedy.
        why: String,
    },
    /// Another process keeps the file to itself.
    #[error("{}: {why}", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// Possible cause, and the remedy.
        why: String,
    },
    /// The operating system forbids it.
    #[error("{}: {why}", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// Refused argument and remedy.
        why: String,
    },
    /// Reading or writing failed.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Failure.
        why: String,
    },
    /// The results could not be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl HistoryError {
    /// The exit code of its class.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Data { .. } => Exit::Data,
            Self::Missing(_) => Exit::NoInput,
            Self::Busy { .. } => Exit::Unavailable,
            Self::Io { .. } | Self::Output(_) => Exit::Io,
            Self::Permission { .. } => Exit::Permission,
        }
    }

    /// A reader of the output that has gone wants no more: that is no failure.
    pub(crate) fn unless_unread(self) -> Result<(), Self> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Err(other),
        }
    }

    /// Explains why the history at `path` could not be opened or read.
    pub(crate) fn read(path: &Path, error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::io(path, &error),
            ReadError::Sqlite(error) => Self::sqlite(path, &error),
            ReadError::Data(why) => Self::Data { path: path.to_owned(), why },
        }
    }

    /// Error of the operating system on `path`.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            io::ErrorKind::IsADirectory => Self::Data {
                path,
                why: "a directory, not a database; --db takes the `path` of a sqlite sink".into(),
            },
            io::ErrorKind::PermissionDenied => Self::Permission {
                path,
                why: "permission denied; run this as the user that the gateway runs as".into(),
            },
            _ => Self::Io { path, why: error.to_string() },
        }
    }

    /// Error of SQLite on `path`.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Data {
                path,
                why: "not an SQLite database; --db takes the `path` of a sqlite sink".into(),
            },
            Some(ErrorCode::DatabaseCorrupt) => Self::Data {
                path,
                why: format!("the database is damaged ({error}); use the latest backup"),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy {
                path,
                why: "another process keeps the database locked; try again when it has finished"
                    .into(),
            },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                Self::Permission {
                    path,
                    why: format!(
                        "cannot open the database and its -wal and -shm files ({error}); run this \
                         as the user that the gateway runs as"
                    ),
                }
            }
            Some(_) => Self::Io { path, why: error.to_string() },
            None => Self::Data { path, why: error.to_string() },
        }
    }
}

/// Returns where else a missing history may be.
fn missing(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(here) if path.is_relative() => format!(
            "no such file in {}; the service keeps its history in {SERVICE}: try --db {}",
            here.display(),
            Path::new(SERVICE).join(path).display()
        ),
        _ => "no such file; --db takes the `path` of a sqlite sink".to_owned(),
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::new(error.exit(), error)
    }
}
