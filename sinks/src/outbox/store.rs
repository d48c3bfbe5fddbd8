//! What an outbox does to its database.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::{Aside, Bundle, Parcel, Ticket};
use crate::database::StoreError;
use crate::settings::Size;

/// How many of the items that were set aside are kept: the newest.
pub const MOST_ASIDE: usize = 1_000;

/// They take this part of the room at most: what may yet be delivered needs the rest.
const SHARE_ASIDE: u64 = 8;

/// More text than this is not joined into one delivery.
const LARGEST_BUNDLE: usize = 1 << 20;

/// Free pages are given back to the file system once there are so many, and nothing waits.
const MOST_FREE: i64 = 256;

/// An open outbox.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    max_bytes: Size,
    /// The last place that was given.
    newest: Ticket,
    /// How many items wait.
    waiting: u64,
    /// How many items were dropped for want of room.
    dropped: u64,
}

impl Store {
    /// A store over a database of the present schema.
    pub(super) fn new(connection: Connection, max_bytes: Size) -> Result<Self, StoreError> {
        let waiting = count(&connection)?;
        let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'parcel'";
        let newest = Ticket(connection.query_row(newest, [], |row| row.get(0))?);
        Ok(Self { connection, max_bytes, newest, waiting, dropped: 0 })
    }

    /// Goes on in a new database, with the places behind those of the old one: who has come so far
    /// looks for parcels behind them.
    pub(super) fn begin_anew(&mut self, connection: Connection) -> Result<(), StoreError> {
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('parcel', ?1)",
            [self.newest.0],
        )?;
        self.waiting = count(&connection)?;
        self.connection = connection;
        Ok(())
    }

    /// How many items wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// How many items were dropped for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends a parcel, and drops the oldest ones where there is no room for all.
    pub(super) fn push(&mut self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        let most = self.max_bytes.bytes();
        let items = u32::try_from(parcel.items).unwrap_or(u32::MAX);
        let transaction = self.begin(Durability::NowOnDisk)?;
        transaction
            .prepare_cached("INSERT INTO parcel (queued, items, text) VALUES (?1, ?2, ?3)")?
            .execute((now.as_millisecond(), items, &parcel.text))?;
        let newest = Ticket(transaction.last_insert_rowid());
        let mut dropped = 0;
        while used_bytes(&transaction)? > most {
            let oldest: Option<u32> = transaction
                .prepare_cached(
                    "DELETE FROM parcel WHERE id = (SELECT min(id) FROM parcel) RETURNING items",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            let Some(items) = oldest else { break };
            dropped += u64::from(items);
        }
        transaction.commit()?;
        self.newest = newest;
        self.waiting = (self.waiting + u64::from(items)).saturating_sub(dropped);
        self.dropped += dropped;
        Ok(())
    }

    /// The oldest parcels behind `after`.
    pub(super) fn oldest(&self, after: Ticket, most: usize) -> Result<Option<Bundle>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, items, text FROM parcel WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([after.0])?;
        let mut bundle: Option<Bundle> = None;
        while let Some(row) = rows.next()? {
            let (id, items, text) = (row.get(0)?, row.get::<_, u32>(1)? as usize, row.get_ref(2)?);
            let text = text.as_str().map_err(rusqlite::Error::from)?;
            let Some(bundle) = &mut bundle else {
                let parcel = Parcel { text: text.to_owned(), items };
                bundle = Some(Bundle { parcel, through: Ticket(id) });
                continue;
            };
            let parcel = &mut bundle.parcel;
            if parcel.items + items > most || parcel.text.len() + text.len() > LARGEST_BUNDLE {
                break;
            }
            parcel.items += items;
            parcel.text.push_str(text);
            bundle.through = Ticket(id);
        }
        Ok(bundle)
    }

    /// Forgets the parcels up to `through`, and sets items aside.
    pub(super) fn settle(&mut self, through: Ticket, aside: &[Aside]) -> Result<(), StoreError> {
        let room_aside = i64::try_from(self.max_bytes.bytes() / SHARE_ASIDE).unwrap_or(i64::MAX);
        let transaction = self.begin(Durability::SoonOnDisk)?;
        for Aside { time, item, reason } in aside {
            transaction
                .prepare_cached("INSERT INTO set_aside (time, item, reason) VALUES (?1, ?2, ?3)")?
                .execute((time.as_millisecond(), item, reason))?;
        }
        if !aside.is_empty() {
            let newest = i64::try_from(MOST_ASIDE).unwrap_or(i64::MAX);
            transaction.execute(
                "DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?1",
                [newest],
            )?;
            transaction.execute(
                "DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM
                     (SELECT id, sum(length(CAST(item || reason AS BLOB))) OVER (ORDER BY id DESC)
                          AS bytes FROM set_aside)
                     WHERE bytes > ?1)",
                [room_aside],
            )?;
        }
        let mut settled = 0;
        {
            let mut statement =
                transaction.prepare_cached("DELETE FROM parcel WHERE id <= ?1 RETURNING items")?;
            let mut rows = statement.query([through.0])?;
            while let Some(row) = rows.next()? {
                settled += u64::from(row.get::<_, u32>(0)?);
            }
        }
        transaction.commit()?;
        self.waiting = self.waiting.saturating_sub(settled);
        if self.waiting == 0 {
            // What is settled is settled, even if a full disk has no room to do this in.
            let _later = self.shrink();
        }
        Ok(())
    }

    /// Puts the log's content into the file, and lets go of it.
    pub(super) fn close(self) -> Result<(), StoreError> {
        self.connection.close().map_err(|(_, error)| error.into())
    }

    /// The database, for what it does itself.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
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

/// When a commit is to be on the disk.
#[derive(Debug, Clone, Copy)]
enum Durability {
    /// When it returns.
    NowOnDisk,
    /// With the next one that is, or when the log is folded in.
    SoonOnDisk,
}

/// How many items wait in a database.
pub(super) fn count(connection: &Connection) -> Result<u64, StoreError> {
    let count = "SELECT coalesce(sum(items), 0) FROM parcel";
    let items: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok(u64::try_from(items).unwrap_or_default())
}

/// How much of its file a database uses.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or_default())
}
