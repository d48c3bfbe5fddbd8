//! Errors of opening and writing a database, with remedies.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::lock::LockError;
use crate::sink::SinkError;

/// Reason why a file does not hold what it should. It stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// A directory has the name.
    #[error("it is a directory; give `path` the name of a file in it")]
    Directory,
    /// The directory that it should be in is missing.
    #[error("the directory {0} is missing; create it with: mkdir -p '{0}'")]
    NoDirectory(PathBuf),
    /// The file or its directory cannot be written.
    #[error(
        "{0} is read-only for this process; let the gateway's user write there, or choose another `path`"
    )]
    ReadOnly(PathBuf),
    /// The file is none of SQLite's.
    #[error("it is not a SQLite database; choose another `path`, or move the file away")]
    NotADatabase,
    /// Another program's database.
    #[error("it is another program's database; choose another `path`")]
    OtherProgram,
    /// A later release wrote it.
    #[error(
        "a newer release wrote it (schema {found}, this one knows {known}); \
         update energi-gateway, or choose another `path`"
    )]
    Newer {
        /// The file's schema version.
        found: i32,
        /// The newest that this release knows.
        known: i32,
    },
    /// Another process writes to it.
    #[error("{0} writes to it already; stop that process, or choose another `path`")]
    InUse(String),
    /// Somebody else's file stands where the lock would.
    #[error("{0} is not a lock of this gateway; move it away, or choose another `path`")]
    ForeignLock(PathBuf),
    /// The file was removed or replaced while it was open.
    #[error("it was removed or replaced while in use; it is opened again")]
    Replaced,
}

/// Failure of a database.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The database cannot be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// SQLite said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// `PRAGMA quick_check` found damage.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<LockError> for StoreError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::InUse(holder) => Refusal::InUse(holder).into(),
            LockError::Io { path, source } => Self::at(path, source),
        }
    }
}

impl StoreError {
    /// Error of the operating system on writing to `path`.
    pub(crate) fn at(path: PathBuf, error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Refusal::ReadOnly(path).into()
            }
            _ => Self::Io(error),
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Returns whether there is no room left on the file system.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_full(error),
            Self::Io(error) => error.kind() == ErrorKind::StorageFull,
            Self::Refused(_) | Self::Damaged(_) => false,
        }
    }

    /// Returns whether the file is damaged, so that nothing but another file helps.
    pub(crate) fn is_corruption(&self) -> bool {
        matches!(self, Self::Damaged(_))
            || matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Describes the error in a sink's terms, with the file's name and what to do.
    pub(crate) fn into_sink_error(self, path: &Path) -> SinkError {
        let file = path;
        let path = path.display();
        match (self.code(), self) {
            (_, Self::Refused(Refusal::ReadOnly(named))) if named == file => {
                SinkError::permanent(Refusal::ReadOnly(named).to_string())
            }
            (_, Self::Refused(refusal)) => SinkError::permanent(format!("{path}: {refusal}")),
            (_, error) if error.is_corruption() => SinkError::permanent(format!(
                "{path}: {error}; it is damaged, or not a database: move it away"
            )),
            (_, error) if error.is_full() => {
                SinkError::transient(format!("{path}: {error}; make room on its file system"))
            }
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), error) => {
                SinkError::transient(format!(
                    "{path}: {error}; another program holds a write lock on it: end that one"
                ))
            }
            (Some(ErrorCode::ReadOnly), _) => {
                SinkError::permanent(Refusal::ReadOnly(file.to_owned()).to_string())
            }
            (Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied), error) => {
                SinkError::permanent(format!(
                    "{path}: {error}; let this process read and write the file and its directory"
                ))
            }
            (_, Self::Io(error)) if error.kind() == ErrorKind::PermissionDenied => {
                SinkError::permanent(format!(
                    "{path}: {error}; this user may not read it: run this as the user whose \
                     it is, or let this one read it"
                ))
            }
            (_, error) => {
                SinkError::transient(format!("{path}: {error}; look at its file system and device"))
            }
        }
    }
}

/// Returns whether there is no room left on the file system, for the database or for what SQLite
/// keeps beside it.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    let beside = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || beside == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}
