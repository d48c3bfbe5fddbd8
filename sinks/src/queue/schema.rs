//! The tables of a queue.

use rusqlite::Transaction;

use crate::database::{Migration, Schema};

/// Marks a database as a queue of this gateway (`PRAGMA application_id`): "enrq".
pub const APPLICATION_ID: i32 = 0x656e_7271;

/// The schema that this release writes (`PRAGMA user_version`).
pub const VERSION: i32 = 2;

const MIGRATIONS: [Migration; VERSION as usize] = [create, standard_names];

/// The queue's.
pub(super) static SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    migrations: &MIGRATIONS,
    // A batch of a few readings, as one device sends them, fits; each page is written whole.
    page_size: 1024,
    holds: "the queue",
};

fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL,
             items INTEGER NOT NULL, text TEXT NOT NULL);
         CREATE INDEX parcel_items ON parcel (items);
         CREATE TABLE set_aside (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
             item TEXT NOT NULL, reason TEXT NOT NULL);",
    )
}

/// - `batch`: what waits. A number is never given twice, so that the position of a batch that has
///   gone is not that of one that comes. `queued` is in ms since 1970 UTC. `payload` is a blob, or
///   text that version 1 wrote. The index spares reading the payloads to count the items.
/// - `dead_letter`: what the destination will never take.
fn standard_names(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE parcel RENAME TO batch;
         ALTER TABLE batch RENAME COLUMN text TO payload;
         DROP INDEX parcel_items;
         CREATE INDEX batch_items ON batch (items);
         ALTER TABLE set_aside RENAME TO dead_letter;",
    )
}
