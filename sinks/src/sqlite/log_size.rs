//! Keeps the write-ahead log from staying as large as a long reader made it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracing::{info, warn};

/// A log up to this size is left to SQLite, which uses its room again.
const USUAL: u64 = 16 * 1024 * 1024;

/// A larger log is worth a word.
const LARGE: u64 = 64 * 1024 * 1024;

/// Pause between two attempts to empty the log.
const PAUSE: Duration = Duration::from_mins(1);

/// Watches the log of a database.
#[derive(Debug, Default)]
pub(super) struct LogSize {
    tried: Option<Instant>,
    warned: bool,
}

impl LogSize {
    /// Empties a log that has grown, once no reader holds it.
    pub(super) fn tidy(&mut self, connection: &Connection) {
        let Some(path) = connection.path().map(|path| PathBuf::from(format!("{path}-wal"))) else {
            return;
        };
        let size = fs::metadata(&path).map_or(0, |log| log.len());
        if size <= USUAL || self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return;
        }
        self.tried = Some(Instant::now());
        let is_empty = truncate(connection).unwrap_or(false);
        if is_empty && self.warned {
            info!("{}: no reader holds the log; it is empty again", path.display());
            self.warned = false;
        } else if !is_empty && size > LARGE && !self.warned {
            warn!(
                "{}: {} MiB, because another program has been reading the history for a long time; \
                 the log becomes small when that program ends",
                path.display(),
                size / (1024 * 1024)
            );
            self.warned = true;
        }
    }
}

/// Puts the log into the file and empties it; `false` where a reader holds it. Waits for nobody.
fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let before: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_timeout(Duration::from_millis(before.into()))?;
    busy.map(|busy: i64| busy == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_emptied_once_its_reader_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("energi.db");
        let writer = Connection::open(&path).unwrap();
        let make = "PRAGMA journal_mode = wal; CREATE TABLE room (bytes BLOB)";
        writer.execute_batch(make).unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM room").unwrap();
        for _ in 0..70 {
            writer.execute("INSERT INTO room VALUES (zeroblob(1048576))", []).unwrap();
        }
        let size = || fs::metadata(directory.path().join("energi.db-wal")).unwrap().len();
        let mut log = LogSize::default();
        log.tidy(&writer);
        assert!(size() > LARGE && log.warned);
        drop(reader);
        log.tidy(&writer);
        assert!(size() > LARGE, "not again at once");
        log.tried = None;
        log.tidy(&writer);
        assert_eq!((size(), log.warned), (0, false));
    }
}
