//! The tables of an outbox.

use rusqlite::Transaction;

use crate::database::{Migration, Schema};

/// Marks a database as an outbox of this gateway (`PRAGMA application_id`): "enrq".
pub const APPLICATION_ID: i32 = 0x656e_7271;

/// The schema that this release writes (`PRAGMA user_version`).
pub const VERSION: i32 = 1;

const MIGRATIONS: [Migration; VERSION as usize] = [create];

/// The outbox's.
pub(super) static SCHEMA: Schema =
    Schema { application_id: APPLICATION_ID, migrations: &MIGRATIONS, holds: "the queue" };

/// - `parcel`: what waits. A number is never given twice, so that the place of a parcel that has
///   gone is not that of one that comes. `queued` is in ms since 1970 UTC.
/// - `set_aside`: what the destination will never take.
fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL,
             items INTEGER NOT NULL, text TEXT NOT NULL);
         -- Counting what waits must not read all of it.
         CREATE INDEX parcel_items ON parcel (items);
         CREATE TABLE set_aside (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
             item TEXT NOT NULL, reason TEXT NOT NULL);",
    )
}
