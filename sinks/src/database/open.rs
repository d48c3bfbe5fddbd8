//! Opens the database file: looks before it touches, and moves a damaged one aside.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tracing::{error, info};

use super::damage;
use super::error::{Refusal, StoreError};
use super::lock::{self, Reserved, Sign, WriterLock};
use super::migrate::{Identity, Schema};
use super::place::{beside, with_suffix};

/// Time that a file is looked through for damage after it was not closed in order. Readings wait
/// meanwhile.
const CHECK: Duration = Duration::from_secs(10);

/// Time to wait for another program that writes.
const BUSY: Duration = Duration::from_secs(5);

/// Part of a database that is kept in memory, which stays resident. A batch touches few pages, most
/// of them at the ends of tables; what waits in a queue is written once and read once.
const CACHE_KIB: i64 = 256;

/// Size of the log, in bytes, at which it is put into the file.
const CHECKPOINT: i64 = 4 * 1024 * 1024;

/// Kind of a file by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// No file, or an empty one.
    Nothing,
    /// A SQLite database with this application id.
    Database(i32),
    /// Something else.
    Foreign,
}

/// A database that this process alone writes to.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    schema: &'static Schema,
    /// True if damage is the gateway's to fix.
    ours: bool,
    /// Device and inode of the file that was opened.
    opened: Option<(u64, u64)>,
    _lock: WriterLock,
}

impl DatabaseFile {
    /// Takes the right to write to `path`. A file that is somebody else's is not touched.
    pub(crate) fn claim(path: &Path, schema: &'static Schema) -> Result<Self, StoreError> {
        let reserved = Reserved::take(path)?;
        let header = look(path)?;
        let marked = header == Header::Database(schema.application_id);
        let sign = lock::sign(path);
        let ours = marked || header == Header::Nothing || sign == Sign::Ours;
        match header {
            Header::Foreign if !ours => return Err(Refusal::NotADatabase.into()),
            Header::Database(_) if !ours => {
                // A read-only connection leaves the files of a log behind, one that may write plays
                // in a log that is there.
                let logged = ["-wal", "-journal"].iter().any(|log| beside(path, log).exists());
                let flags = if logged {
                    OpenFlags::SQLITE_OPEN_READ_ONLY
                } else {
                    OpenFlags::SQLITE_OPEN_READ_WRITE
                };
                schema.identify(&connect(path, flags)?)?;
            }
            _ => {}
        }
        if sign == Sign::Foreign && !marked {
            return Err(Refusal::ForeignLock(lock::path_of(path)).into());
        }
        if fs::metadata(path).is_ok_and(|file| file.permissions().readonly()) {
            return Err(Refusal::ReadOnly(path.to_owned()).into());
        }
        let lock = reserved.lock()?;
        Ok(Self { path: path.to_owned(), schema, ours, opened: None, _lock: lock })
    }

    /// Opens it for writing, in the present schema. A damaged one is moved aside for a new one.
    pub(crate) fn open(&mut self) -> Result<Connection, StoreError> {
        match self.open_as_it_is() {
            Err(error) if error.is_corruption() && self.ours => self.open_again(&error),
            other => other,
        }
    }

    /// Moves the database aside, since it is damaged, and opens a new one.
    pub(crate) fn open_again(&mut self, damage: &StoreError) -> Result<Connection, StoreError> {
        let aside = self.move_aside()?;
        error!(
            "{}: the database is damaged ({damage}); it was moved to {}, and {} continues in a new \
             one. To save what it contains, try: \
             sqlite3 '{1}' .dump | sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 saved.db",
            self.path.display(),
            aside.display(),
            self.schema.holds
        );
        self.open_as_it_is()
    }

    /// Removes the database, which nobody has open, with all that is in it.
    #[cfg(feature = "queue")]
    pub(crate) fn remove(&mut self) -> Result<(), StoreError> {
        // A log without a database is nothing to SQLite, so that one goes first.
        for suffix in ["", "-wal", "-shm"] {
            match fs::remove_file(beside(&self.path, suffix)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::at(self.path.clone(), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns whether the file that was opened is still the one at its path.
    pub(crate) fn is_in_place(&self) -> bool {
        inode(&self.path) == self.opened
    }

    fn open_as_it_is(&mut self) -> Result<Connection, StoreError> {
        let closed_in_order = is_whole(&self.path);
        if look(&self.path)? == Header::Foreign {
            return Err(StoreError::Damaged("its first bytes are not SQLite's".to_owned()));
        }
        if let Some(damage) = damage::cut_short(&self.path)? {
            return Err(StoreError::Damaged(damage));
        }
        let mut connection = connect(&self.path, OpenFlags::default())?;
        connection.busy_timeout(BUSY)?;
        if self.schema.identify(&connection)? == Identity::Empty {
            connection.pragma_update(None, "page_size", self.schema.page_size)?;
        } else if !closed_in_order {
            info!("{}: was not closed cleanly; checking it", self.path.display());
            check(&mut connection)?;
        }
        // Marked in the file's first page before anything goes to a write-ahead log.
        self.schema.migrate(&mut connection)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A power cut must not cost more than the batch in hand: each commit is on the disk when
        // it returns. With NORMAL it would be so only after a checkpoint, many minutes later.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        // A page that changes all the time goes to the file once in so much of a log.
        let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT / page_size.max(1))?;
        connection.pragma_update(None, "journal_size_limit", 8 * 1024 * 1024)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        self.opened = inode(&self.path);
        Ok(connection)
    }

    fn move_aside(&self) -> Result<PathBuf, StoreError> {
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let aside = (0..100)
            .map(|turn: u32| match turn {
                0 => beside(&self.path, &format!(".corrupt-{stamp}")),
                turn => beside(&self.path, &format!(".corrupt-{stamp}.{turn}")),
            })
            .find(|path| !path.exists())
            .unwrap_or_else(|| beside(&self.path, ".corrupt"));
        for suffix in ["", "-wal", "-shm"] {
            match fs::rename(beside(&self.path, suffix), with_suffix(&aside, suffix)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(aside)
    }
}

/// Looks at what is at `path` without SQLite.
pub(crate) fn look(path: &Path) -> Result<Header, StoreError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            return match directory {
                Some(directory) if !directory.is_dir() => {
                    Err(Refusal::NoDirectory(directory.to_owned()).into())
                }
                _ => Ok(Header::Nothing),
            };
        }
        Err(error) => return Err(error.into()),
    };
    if metadata.is_dir() {
        return Err(Refusal::Directory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(100).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Header::Nothing);
    }
    let application = bytes.get(68..72).and_then(|bytes| bytes.first_chunk().copied());
    Ok(match application {
        Some(application) if bytes.starts_with(b"SQLite format 3\0") => {
            Header::Database(i32::from_be_bytes(application))
        }
        _ => Header::Foreign,
    })
}

/// Opens `path` as it is. SQLite is built to take any name that begins with `file:` for a URI; an
/// absolute path never does.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    Ok(Connection::open_with_flags(std::path::absolute(path)?, flags)?)
}

/// Looks for damage, for a bounded time: what was not seen until then shows when it is touched.
fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let begun = Instant::now();
    connection.progress_handler(10_000, Some(move || begun.elapsed() > CHECK))?;
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(damage) => Err(StoreError::Damaged(damage.replace('\n', " "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            info!("no damage found in {} s; the rest is checked as it is used", CHECK.as_secs());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns whether nothing of the database is in a log beside it, as after a close in order.
pub(crate) fn is_whole(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).map_or(true, |wal| wal.len() == 0)
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_has_no_feature_that_nothing_uses() {
        let connection = Connection::open_in_memory().unwrap();
        let mut options = connection.prepare("PRAGMA compile_options").unwrap();
        let options: Vec<String> =
            options.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(options.contains(&"OMIT_LOAD_EXTENSION".to_owned()), "{options:?}");
        assert!(!options.contains(&"ENABLE_FTS5".to_owned()), "{options:?}");
    }

    #[test]
    fn a_log_beside_the_file_behind_a_link_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("there/a.db"), directory.path().join("b.db"));
        fs::create_dir(directory.path().join("there")).unwrap();
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("there/a.db", &link).unwrap();
        assert!(is_whole(&link) && is_whole(&file));
        fs::write(with_suffix(&file, "-wal"), "a log").unwrap();
        assert!(!is_whole(&link) && !is_whole(&file));
    }
}
