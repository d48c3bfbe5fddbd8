//! Looks into an outbox that nobody has open, or somebody else.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use super::schema::SCHEMA;
use super::store;
use super::{Aside, Plan};
use crate::database::{
    DatabaseFile, Identity, ReadError, Refusal, StoreError, holder, open_for_reading, try_out,
};
use crate::sink::SinkError;

/// What is in an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many items wait.
    pub waiting: u64,
    /// When the oldest of them was put in.
    pub oldest: Option<Timestamp>,
    /// How much of its file is used.
    pub used_bytes: u64,
    /// How many items are set aside.
    pub set_aside: u32,
    /// The last of them.
    pub last_aside: Option<Aside>,
    /// The other process that has it open.
    pub holder: Option<String>,
}

/// Looks into the outbox at `path`, whether or not a gateway has it open; `None` where there is
/// none. A process that has it open itself must not.
///
/// # Errors
/// [`SinkError`] says why it cannot be read, and what to do.
pub fn status(path: &Path) -> Result<Option<Status>, SinkError> {
    if !path.exists() {
        return Ok(None);
    }
    look_into(path).map(Some).map_err(|error| error.into_sink_error(path))
}

/// Says what is at `path` and whether an outbox could be there, and changes nothing.
///
/// # Errors
/// [`SinkError`] as who opens it would meet it.
pub fn probe(path: &Path) -> Result<String, SinkError> {
    let describe = || {
        let trial = try_out(path, &SCHEMA)?;
        Ok(match &trial.connection {
            None => format!("{} will be made", path.display()),
            Some(outbox) => format!("{}: {} waiting", path.display(), store::count(outbox)?),
        })
    };
    describe().map_err(|error: StoreError| error.into_sink_error(path))
}

/// Throws the outbox away, and says how many items waited and how many were set aside. Nobody may
/// have it open; who opens it next makes it anew. It needs no room on the disk, and gives back what
/// the outbox had.
///
/// # Errors
/// [`SinkError`] says who has it open, or why it cannot be removed.
pub fn purge(plan: &Plan) -> Result<(u64, u64), SinkError> {
    let path = &plan.path;
    if !path.exists() {
        return Ok((0, 0));
    }
    let empty = || {
        let mut file = DatabaseFile::claim(path, &SCHEMA)?;
        let outbox = match file.open() {
            Err(error) if error.is_full() => open(path)?,
            opened => opened?,
        };
        let thrown = (store::count(&outbox)?, u64::from(set_aside(&outbox)?));
        drop(outbox);
        // Its next user makes it anew: one made here would belong to who purges, who may be root.
        file.remove()?;
        Ok(thrown)
    };
    empty().map_err(|error: StoreError| error.into_sink_error(path))
}

fn look_into(path: &Path) -> Result<Status, StoreError> {
    if fs::metadata(path)?.is_dir() {
        return Err(Refusal::Directory.into());
    }
    let outbox = open(path)?;
    let time = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let oldest =
        outbox.query_row("SELECT (SELECT queued FROM parcel ORDER BY id LIMIT 1)", [], |row| {
            row.get(0)
        })?;
    Ok(Status {
        waiting: store::count(&outbox)?,
        oldest: time(oldest),
        used_bytes: store::used_bytes(&outbox)?,
        set_aside: set_aside(&outbox)?,
        last_aside: last_aside(&outbox)?,
        holder: holder(path)?,
    })
}

/// Opens an outbox of this release for reading.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let outbox = open_for_reading(path).map_err(unread)?;
    match SCHEMA.identify(&outbox)? {
        Identity::Empty => Err(Refusal::OtherProgram.into()),
        Identity::Ours(_) => Ok(outbox),
    }
}

fn unread(error: ReadError) -> StoreError {
    match error {
        ReadError::Io(error) => StoreError::Io(error),
        ReadError::Sqlite(error) => StoreError::Sqlite(error),
        ReadError::Data(why) => StoreError::Damaged(why),
    }
}

fn set_aside(outbox: &Connection) -> rusqlite::Result<u32> {
    outbox.query_row("SELECT count(*) FROM set_aside", [], |row| row.get(0))
}

fn last_aside(outbox: &Connection) -> Result<Option<Aside>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?));
    let mut statement =
        outbox.prepare("SELECT time, item, reason FROM set_aside ORDER BY id DESC LIMIT 1")?;
    let last = statement.query_map([], read)?.next().transpose()?;
    Ok(last.and_then(|(time, item, reason)| {
        Some(Aside { time: Timestamp::from_millisecond(time).ok()?, item, reason })
    }))
}
