use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{HistoryError, open};
use crate::platform::files::Existing;

/// Writes a consistent copy of the history at `source` to `target`, which appears there whole or
/// not at all. The gateway may be writing to the history meanwhile: the copy is of one moment.
/// Returns its size in bytes.
///
/// # Errors
/// [`HistoryError`] where the source is no history, where the target exists and is to be kept or is in
/// use as a database, and where it cannot be written.
pub fn backup(source: &Path, target: &Path, existing: Existing) -> Result<u64, HistoryError> {
    let history = open(source)?;
    check_target(source, target, existing)?;

    let directory = directory_of(target);
    let temporary = tempfile::Builder::new()
        .prefix(".energi-backup-")
        .tempfile_in(directory)
        .map_err(|error| target_error(directory, &error))?;
    // VACUUM INTO reads in one transaction, so a writer neither waits nor starts it again, and
    // leaves free pages behind.
    let name = temporary.path().to_str().ok_or_else(|| {
        HistoryError::Usage(format!("{}: --output must be valid UTF-8", target.display()))
    })?;
    history
        .connection()
        .execute("VACUUM INTO ?1", [name])
        .map_err(|error| copy_error(source, target, &error))?;

    let permissions =
        fs::metadata(source).map_err(|error| HistoryError::io(source, &error))?.permissions();
    let copy = temporary.as_file();
    copy.set_permissions(permissions)
        .or_else(unless_unsupported)
        .map_err(|error| cannot(target, "give the copy the history's permissions", &error))?;
    let size = copy
        .sync_all()
        .and_then(|()| copy.metadata())
        .map_err(|error| cannot(target, "write the copy to the disk", &error))?
        .len();
    publish(temporary, target, existing)?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .or_else(unless_unsupported)
        .map_err(|error| cannot(directory, "write the directory to the disk", &error))?;
    Ok(size)
}

/// Takes for done what the file system does not have: a share has the permissions that it was
/// mounted with, and the copy none beyond its owner's.
fn unless_unsupported(error: io::Error) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match error.kind() {
        PermissionDenied | Unsupported | InvalidInput => Ok(()),
        _ => Err(error),
    }
}

/// Gives the copy its name.
fn publish(
    temporary: NamedTempFile,
    target: &Path,
    existing: Existing,
) -> Result<(), HistoryError> {
    let failed = |error: &io::Error| target_error(target, error);
    let mut temporary = temporary;
    if existing == Existing::Keep {
        match temporary.persist_noclobber(target) {
            Ok(_) => return Ok(()),
            // A share may know no name for a file beside its first one: look, then rename.
            Err(error)
                if error.error.kind() == io::ErrorKind::PermissionDenied && !target.exists() =>
            {
                temporary = error.file;
            }
            Err(error) => return Err(failed(&error.error)),
        }
    }
    temporary.persist(target).map(drop).map_err(|error| failed(&error.error))
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> HistoryError {
    HistoryError::Io { path: path.to_owned(), why: format!("cannot {what}: {error}") }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn check_target(source: &Path, target: &Path, existing: Existing) -> Result<(), HistoryError> {
    match fs::metadata(target) {
        Ok(found) => check_existing(source, target, &found, existing)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(target_error(target, &error)),
    }
    // SQLite would play such a log into whatever database it finds beside it, a new one too.
    for suffix in ["-wal", "-journal"] {
        let log = beside(target, suffix);
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(HistoryError::Usage(format!(
                "{}: {} beside it is the log of a database in use, or of one that is gone; --output \
                 takes another path",
                target.display(),
                log.display()
            )));
        }
    }
    Ok(())
}

fn check_existing(
    source: &Path,
    target: &Path,
    found: &Metadata,
    existing: Existing,
) -> Result<(), HistoryError> {
    let history = fs::metadata(source).map_err(|error| HistoryError::io(source, &error))?;
    if (found.dev(), found.ino()) == (history.dev(), history.ino()) {
        return Err(HistoryError::Usage(format!(
            "{}: the history itself; --output takes the path of a new file",
            target.display()
        )));
    }
    if !found.is_file() {
        return Err(HistoryError::Usage(format!(
            "{}: not a file; --output takes the path of a new file",
            target.display()
        )));
    }
    match existing {
        Existing::Keep => Err(exists(target)),
        Existing::Replace => Ok(()),
    }
}

fn exists(target: &Path) -> HistoryError {
    HistoryError::Usage(format!("{}: exists already; --force replaces it", target.display()))
}

/// The file that SQLite keeps beside `database` under its name and `suffix`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn target_error(path: &Path, error: &io::Error) -> HistoryError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&path),
        io::ErrorKind::PermissionDenied => HistoryError::Permission {
            path,
            why: format!("{error}; --output takes a path in a directory that you may write to"),
        },
        _ => HistoryError::Io { path, why: format!("cannot write the backup: {error}") },
    }
}

/// SQLite does not say which of the two files an error is about; only a few can be the copy's.
fn copy_error(source: &Path, target: &Path, error: &rusqlite::Error) -> HistoryError {
    use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
    match error.sqlite_error_code() {
        Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure) => HistoryError::Io {
            path: target.to_owned(),
            why: format!("cannot write the backup: {error}"),
        },
        _ => HistoryError::sqlite(source, error),
    }
}
