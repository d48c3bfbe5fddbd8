//! Operations of a queue on its database.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tracing::{info, warn};

use super::{DeadLetter, Payload, QueueCounters, QueuePosition, QueuedBatch};
use crate::database::{Database, StoreError};
use crate::settings::QueueOptions;

/// Number of dead letters that are kept: the newest.
pub const MOST_DEAD_LETTERS: usize = 1_000;

/// Dead letters take this part of the room at most: what may yet be delivered needs the rest.
const DEAD_LETTER_SHARE: u64 = 8;

/// More bytes than this are not joined into one request.
const LARGEST_REQUEST: usize = 1 << 20;

/// Free pages are given back to the file system once there are so many, and nothing waits.
const MOST_FREE: i64 = 1024;

/// An open queue.
#[derive(Debug)]
pub(super) struct QueueStore {
    connection: Connection,
    options: QueueOptions,
    /// The last position that was given.
    newest: QueuePosition,
    counters: Arc<QueueCounters>,
    /// Number of items that were dropped since the queue was last empty.
    dropped: u64,
}

impl Database for QueueStore {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Goes on in a new database, with the positions behind those of the old one: who has come so
    /// far looks for batches behind them.
    fn replace(&mut self, connection: Connection) -> Result<(), StoreError> {
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('batch', ?1)",
            [self.newest.0],
        )?;
        self.counters.waiting.store(count(&connection)?, Ordering::Relaxed);
        self.connection = connection;
        Ok(())
    }

    fn close(self) -> Result<(), StoreError> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

impl QueueStore {
    /// A store over a database of the present schema.
    pub(super) fn new(
        connection: Connection,
        options: QueueOptions,
        counters: Arc<QueueCounters>,
    ) -> Result<Self, StoreError> {
        counters.waiting.store(count(&connection)?, Ordering::Relaxed);
        let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'batch'";
        let newest = QueuePosition(connection.query_row(newest, [], |row| row.get(0))?);
        Ok(Self { connection, options, newest, counters, dropped: 0 })
    }

    /// Appends a batch, and drops the oldest ones where there is no room for all.
    pub(super) fn push(&mut self, batch: &Payload, now: Timestamp) -> Result<(), StoreError> {
        let most = self.options.max_bytes.bytes();
        let items = u32::try_from(batch.items).unwrap_or(u32::MAX);
        let transaction = self.begin(Durability::NowOnDisk)?;
        transaction
            .prepare_cached("INSERT INTO batch (queued, items, payload) VALUES (?1, ?2, ?3)")?
            .execute((now.as_millisecond(), items, &batch.data))?;
        let newest = QueuePosition(transaction.last_insert_rowid());
        let mut dropped = 0;
        while used_bytes(&transaction)? > most {
            let oldest: Option<u32> = transaction
                .prepare_cached(
                    "DELETE FROM batch WHERE id = (SELECT min(id) FROM batch) RETURNING items",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            let Some(items) = oldest else { break };
            dropped += u64::from(items);
        }
        transaction.commit()?;
        self.newest = newest;
        self.change_waiting(|waiting| (waiting + u64::from(items)).saturating_sub(dropped));
        self.note_dropped(dropped);
        Ok(())
    }

    /// The oldest batches behind `after`.
    pub(super) fn oldest(
        &self,
        after: QueuePosition,
        most: usize,
    ) -> Result<Option<QueuedBatch>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, items, payload FROM batch WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([after.0])?;
        let mut joined: Option<QueuedBatch> = None;
        while let Some(row) = rows.next()? {
            let (id, items, data) = (row.get(0)?, row.get::<_, u32>(1)? as usize, row.get_ref(2)?);
            let data = data.as_bytes().map_err(rusqlite::Error::from)?;
            let through = QueuePosition(id);
            let Some(joined) = &mut joined else {
                let payload = Payload { data: data.to_owned(), items };
                joined = Some(QueuedBatch { payload, through });
                continue;
            };
            let payload = &mut joined.payload;
            if payload.items + items > most || payload.data.len() + data.len() > LARGEST_REQUEST {
                break;
            }
            payload.items += items;
            payload.data.extend_from_slice(data);
            joined.through = through;
        }
        Ok(joined)
    }

    /// Removes the batches up to `through`, and keeps dead letters.
    pub(super) fn ack(
        &mut self,
        through: QueuePosition,
        dead_letters: &[DeadLetter],
    ) -> Result<(), StoreError> {
        let room = self.options.max_bytes.bytes() / DEAD_LETTER_SHARE;
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let transaction = self.begin(Durability::SoonOnDisk)?;
        for DeadLetter { time, item, reason } in dead_letters {
            transaction
                .prepare_cached("INSERT INTO dead_letter (time, item, reason) VALUES (?1, ?2, ?3)")?
                .execute((time.as_millisecond(), item, reason))?;
        }
        if !dead_letters.is_empty() {
            let newest = i64::try_from(MOST_DEAD_LETTERS).unwrap_or(i64::MAX);
            transaction.execute(
                "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?1",
                [newest],
            )?;
            transaction.execute(
                "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM
                     (SELECT id, sum(length(CAST(item || reason AS BLOB))) OVER (ORDER BY id DESC)
                          AS bytes FROM dead_letter)
                     WHERE bytes > ?1)",
                [room],
            )?;
        }
        let mut acked = 0;
        {
            let mut statement =
                transaction.prepare_cached("DELETE FROM batch WHERE id <= ?1 RETURNING items")?;
            let mut rows = statement.query([through.0])?;
            while let Some(row) = rows.next()? {
                acked += u64::from(row.get::<_, u32>(0)?);
            }
        }
        transaction.commit()?;
        self.change_waiting(|waiting| waiting.saturating_sub(acked));
        if self.counters.waiting.load(Ordering::Relaxed) == 0 {
            self.note_empty();
            // What is acknowledged is, even if a full disk has no room to do this in.
            let _later = self.shrink();
        }
        Ok(())
    }

    fn change_waiting(&self, change: impl FnOnce(u64) -> u64) {
        let waiting = &self.counters.waiting;
        waiting.store(change(waiting.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Counts what was dropped, and logs the first time.
    fn note_dropped(&mut self, dropped: u64) {
        let (file, items) = (self.options.path.display(), self.options.items);
        if dropped > 0 && self.dropped == 0 {
            warn!(
                "{file}: the queue is full ({}): the oldest {items} are dropped for new ones; \
                 `max_bytes` sets the limit",
                self.options.max_bytes
            );
        }
        self.dropped += dropped;
        self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Logs how many were dropped, once nothing waits any more.
    fn note_empty(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let (file, items) = (self.options.path.display(), self.options.items);
            info!(
                dropped,
                "{file}: the queue is empty; some {items} were dropped while it was full"
            );
        }
    }

    fn begin(&mut self, durability: Durability) -> Result<Transaction<'_>, StoreError> {
        let synchronous = match durability {
            Durability::NowOnDisk => "full",
            Durability::SoonOnDisk => "normal",
        };
        self.connection.pragma_update(None, "synchronous", synchronous)?;
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Gives the space of what waited back to the file system.
    fn shrink(&mut self) -> Result<(), StoreError> {
        let free: i64 =
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free >= MOST_FREE {
            // Nothing waits, so there is next to nothing to copy.
            self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(())
    }
}

/// Moment when a commit is to be on the disk.
#[derive(Debug, Clone, Copy)]
enum Durability {
    /// Commit on the disk before it returns.
    NowOnDisk,
    /// Commit on the disk with the next one that is, or when the log is folded in.
    SoonOnDisk,
}

/// Returns how many items wait in a database.
pub(super) fn count(connection: &Connection) -> Result<u64, StoreError> {
    let count = "SELECT coalesce(sum(items), 0) FROM batch";
    let items: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok(u64::try_from(items).unwrap_or_default())
}

/// Returns how much of its file a database uses.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or_default())
}
