//! Histories of earlier releases.

use rusqlite::Connection;

/// Gives a history schema version 3, which kept the keys of a reading and not its packet.
pub fn drop_packets(history: &Connection) {
    history
        .execute_batch(
            "CREATE TABLE older (id INTEGER PRIMARY KEY, keys TEXT NOT NULL UNIQUE);
             INSERT INTO older SELECT min(id), keys FROM shape GROUP BY keys;
             UPDATE OR REPLACE reading SET shape =
                 (SELECT o.id FROM older o JOIN shape s USING (keys) WHERE s.id = shape);
             DELETE FROM field WHERE shape NOT IN (SELECT id FROM older);
             DROP TABLE shape;
             ALTER TABLE older RENAME TO shape;
             PRAGMA user_version = 3",
        )
        .unwrap();
}
