//! Looks into a queue that nobody has open, or another process.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::DeadLetter;
use super::schema::SCHEMA;
use super::store;
use crate::database::{
    DatabaseFile, Identity, ReadError, Refusal, StoreError, holder, open_for_reading, try_out,
};
use crate::settings::QueueOptions;
use crate::sink::SinkError;

/// Content of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// Number of items that wait.
    pub waiting: u64,
    /// Time when the oldest of them was queued.
    pub oldest: Option<Timestamp>,
    /// Bytes of the file that are used.
    pub used_bytes: u64,
    /// Number of dead letters.
    pub dead_letters: u32,
    /// The last of them.
    pub last_dead_letter: Option<DeadLetter>,
    /// The other process that has it open.
    pub holder: Option<String>,
}

/// Looks into the queue at `path`, whether or not a gateway has it open; `None` where there is
/// none. A process that has it open itself must not.
///
/// # Errors
/// [`SinkError`] says why it cannot be read, and what to do.
pub fn status(path: &Path) -> Result<Option<QueueStatus>, SinkError> {
    if !path.exists() {
        return Ok(None);
    }
    look_into(path).map(Some).map_err(|error| error.into_sink_error(path))
}

/// Describes what is at `path` and whether a queue could be there, and changes nothing.
///
/// # Errors
/// [`SinkError`] as who opens it would meet it.
pub async fn probe(path: &Path) -> Result<String, SinkError> {
    let path = path.to_owned();
    let probed = tokio::task::spawn_blocking(move || describe(&path)).await;
    probed.unwrap_or_else(|error| Err(SinkError::transient(error.to_string())))
}

fn describe(path: &Path) -> Result<String, SinkError> {
    let describe = || {
        let trial = try_out(path, &SCHEMA)?;
        Ok(match &trial.connection {
            None => format!("{} will be created", path.display()),
            Some(queue) => {
                format!("{}: {} waiting", path.display(), Tables::of(queue)?.waiting(queue)?)
            }
        })
    };
    describe().map_err(|error: StoreError| error.into_sink_error(path))
}

/// Throws the queue away, and returns how many items waited and how many dead letters there were.
/// Nobody may have it open; the next user makes a new one. This needs no room on the disk, and gives
/// back what the queue had.
///
/// # Errors
/// [`SinkError`] says who has it open, or why it cannot be removed.
pub fn purge(options: &QueueOptions) -> Result<(u64, u64), SinkError> {
    let path = &options.path;
    if !path.exists() {
        return Ok((0, 0));
    }
    let empty = || {
        let mut file = DatabaseFile::claim(path, &SCHEMA)?;
        let queue = match file.open() {
            Err(error) if error.is_full() => open(path)?,
            opened => opened?,
        };
        let tables = Tables::of(&queue)?;
        let thrown = (tables.waiting(&queue)?, u64::from(tables.dead_letters(&queue)?));
        drop(queue);
        // Its next user makes a new one: one made here would belong to who purges, who may be root.
        file.remove()?;
        Ok(thrown)
    };
    empty().map_err(|error: StoreError| error.into_sink_error(path))
}

fn look_into(path: &Path) -> Result<QueueStatus, StoreError> {
    if fs::metadata(path)?.is_dir() {
        return Err(Refusal::Directory.into());
    }
    let queue = open(path)?;
    let tables = Tables::of(&queue)?;
    Ok(QueueStatus {
        waiting: tables.waiting(&queue)?,
        oldest: tables.oldest(&queue)?,
        used_bytes: store::used_bytes(&queue)?,
        dead_letters: tables.dead_letters(&queue)?,
        last_dead_letter: tables.last_dead_letter(&queue)?,
        holder: holder(path)?,
    })
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    open_for_reading(path).map_err(|error| match error {
        ReadError::Io(error) => StoreError::Io(error),
        ReadError::Sqlite(error) => StoreError::Sqlite(error),
        ReadError::Data(why) => StoreError::Damaged(why),
    })
}

/// Names of a queue's tables, which an older release called otherwise.
struct Tables {
    batches: &'static str,
    dead_letters: &'static str,
}

impl Tables {
    fn of(queue: &Connection) -> Result<Self, StoreError> {
        match SCHEMA.identify(queue)? {
            Identity::Empty => Err(Refusal::OtherProgram.into()),
            Identity::Ours(1) => Ok(Self { batches: "parcel", dead_letters: "set_aside" }),
            Identity::Ours(_) => Ok(Self { batches: "batch", dead_letters: "dead_letter" }),
        }
    }

    fn waiting(&self, queue: &Connection) -> rusqlite::Result<u64> {
        let sum = format!("SELECT coalesce(sum(items), 0) FROM {}", self.batches);
        let items: i64 = queue.query_row(&sum, [], |row| row.get(0))?;
        Ok(u64::try_from(items).unwrap_or_default())
    }

    fn oldest(&self, queue: &Connection) -> rusqlite::Result<Option<Timestamp>> {
        let oldest = format!("SELECT queued FROM {} ORDER BY id LIMIT 1", self.batches);
        let oldest: Option<i64> = queue.query_row(&oldest, [], |row| row.get(0)).optional()?;
        Ok(oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    }

    fn dead_letters(&self, queue: &Connection) -> rusqlite::Result<u32> {
        let count = format!("SELECT count(*) FROM {}", self.dead_letters);
        queue.query_row(&count, [], |row| row.get(0))
    }

    fn last_dead_letter(&self, queue: &Connection) -> rusqlite::Result<Option<DeadLetter>> {
        let table = self.dead_letters;
        let last = format!("SELECT time, item, reason FROM {table} ORDER BY id DESC LIMIT 1");
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let last = queue.query_row(&last, [], read).optional()?;
        Ok(last.and_then(|(time, item, reason)| {
            Some(DeadLetter { time: Timestamp::from_millisecond(time).ok()?, item, reason })
        }))
    }
}
