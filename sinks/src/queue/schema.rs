//! The tables of a queue.

use rusqlite::Transaction;

use crate::database::Schema;

/// Marks a database as a queue of this gateway (`PRAGMA application_id`): "enrq".
pub const APPLICATION_ID: i32 = 0x656e_7271;

/// The schema that this release writes (`PRAGMA user_version`).
pub const VERSION: i32 = SCHEMA.version();

/// The queue's.
pub(super) const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    create,
    migrations: &[standard_names],
    // A batch of a few readings, as one device sends them, fits; each page is written whole.
    page_size: 1024,
    holds: "the queue",
};

/// - `batch`: what waits. A number is never given twice, so that the position of a batch that has
///   gone is not that of one that comes. `queued` is in ms since 1970 UTC. `payload` is a blob, or
///   text that version 1 wrote. The index spares reading the payloads to count the items.
/// - `dead_letter`: what the destination will never take.
fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL,
             items INTEGER NOT NULL, payload BLOB NOT NULL);
         CREATE INDEX batch_items ON batch (items);
         CREATE TABLE dead_letter (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
             item TEXT NOT NULL, reason TEXT NOT NULL);",
    )
}

/// Renames what version 1 called `parcel` and `set_aside`.
fn standard_names(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE parcel RENAME TO batch;
         ALTER TABLE batch RENAME COLUMN text TO payload;
         DROP INDEX parcel_items;
         CREATE INDEX batch_items ON batch (items);
         ALTER TABLE set_aside RENAME TO dead_letter;",
    )
}
