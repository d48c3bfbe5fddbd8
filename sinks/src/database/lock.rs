//! One writer: a mark in this process, and an advisory lock on a file beside the database, which
//! says who holds it.
//!
//! Readers (the sqlite3 command line, reports) do not take it. The kernel lets go of it when its
//! holder ends, however that ends; the file stays, as the sign that the database is the gateway's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use super::place::beside;

/// The databases that this process writes to. POSIX lets go of all of a process's locks on a file
/// when it closes any handle on it: a second sink must not so much as look into the first one's
/// database, or the next reader to close it deletes its write-ahead log.
static WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Extension that makes the lock's name of the database's name.
const SUFFIX: &str = ".lock";

/// More of a lock file than its line is not read.
const LONGEST_LINE: u64 = 4096;

/// Reason why a database cannot be written to now.
#[derive(Debug, Error)]
pub enum LockError {
    /// Somebody else writes to it: who that is.
    #[error("{0} writes to it")]
    InUse(String),
    /// The lock's file cannot be made or locked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// The right to write to a database, which a gateway has while it runs.
#[derive(Debug)]
pub struct WriterLock {
    // The file first: the next sink of this process must find it free.
    _file: File,
    _reserved: Reserved,
}

impl WriterLock {
    /// Takes the right to write to `database`, which must be one already.
    ///
    /// # Errors
    /// [`LockError`] says who has it, or what the operating system said.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        Reserved::take(database)?.lock()
    }
}

/// The mark that this process writes to a database, or looks into it to do so.
#[derive(Debug)]
pub(crate) struct Reserved(PathBuf);

impl Reserved {
    /// Marks `database`. To be done before anything opens it.
    pub(crate) fn take(database: &Path) -> Result<Self, LockError> {
        let path = path_of(database);
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        if written.contains(&path) {
            return Err(LockError::InUse("another sink of this gateway".to_owned()));
        }
        written.push(path.clone());
        Ok(Self(path))
    }

    /// Takes the lock that other processes see, or says who has it.
    pub(crate) fn lock(self) -> Result<WriterLock, LockError> {
        let failed = |source| LockError::Io { path: self.0.clone(), source };
        let mut file = open(&self.0).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::InUse(holder_in(&mut file))),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let program = std::env::current_exe()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "a program without a name".to_owned());
        let line = format!("{} {program}\n", std::process::id());
        // A full disk must not keep a database from being opened: the holder's name is a courtesy.
        let _courtesy = file
            .rewind()
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.set_len(line.len() as u64));
        Ok(WriterLock { _file: file, _reserved: self })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|path| *path != self.0);
    }
}

/// Returns who of the other processes writes to `database` now; `None` where none does.
pub(crate) fn holder(database: &Path) -> Result<Option<String>, LockError> {
    let path = path_of(database);
    let failed = |source| LockError::Io { path: path.clone(), source };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder_in(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Content of the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Nothing: there is none, or it is empty.
    Nothing,
    /// A gateway has written to the database before.
    Ours,
    /// Somebody else's file has the name.
    Foreign,
}

/// Returns whether a gateway has written to `database` before.
pub(crate) fn sign(database: &Path) -> Sign {
    let mut file = match File::open(path_of(database)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Sign::Nothing,
        Err(_) => return Sign::Foreign,
    };
    match read(&mut file) {
        // A power cut can leave zeros.
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => Sign::Nothing,
        Ok(bytes) if holder_of(&bytes).is_some() => Sign::Ours,
        _ => Sign::Foreign,
    }
}

/// `energi.db.lock`, beside the file that symbolic links lead to.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    beside(database, SUFFIX)
}

/// Opens the lock's file, or makes it. What root makes is given to whose the database is: they could
/// not write to it otherwise.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    // A symbolic link that stands there is not followed to what would be given away.
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            options.create(true).truncate(false).open(path)
        }
        Err(error) => Err(error),
        Ok(file) => {
            if let Ok(database) = fs::metadata(path.with_extension("")) {
                // Only root may, and only root has to.
                let _others = fchown(&file, Some(database.uid()), Some(database.gid()));
            }
            Ok(file)
        }
    }
}

fn holder_in(file: &mut File) -> String {
    let line = read(file).unwrap_or_default();
    match holder_of(&line) {
        Some((process, program)) => format!("process {process} ({program})"),
        None => "another process".to_owned(),
    }
}

/// The process and the program of a lock's line, such as `4711 energi-gateway`.
fn holder_of(line: &[u8]) -> Option<(u32, &str)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (process, program) = line.split_once(' ')?;
    let one_line = !program.is_empty() && !program.contains(char::is_control);
    Some((process.parse().ok()?, program)).filter(|_| one_line)
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST_LINE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::holder_of;

    #[test]
    fn a_holder_is_a_process_with_its_program() {
        assert_eq!(holder_of(b"4711 energi-gateway\n"), Some((4711, "energi-gateway")));
        for other in ["", "4711", "4711 \n", "12 eggs\n6 apples\n", "energi gateway\n", "{}\n"] {
            assert_eq!(holder_of(other.as_bytes()), None, "{other}");
        }
    }
}
