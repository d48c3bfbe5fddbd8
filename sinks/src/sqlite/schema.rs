//! The database's tables, and whether a file holds them.
//!
//! Public to users and their scripts are the table `daily_energy` and the views `sample` and
//! `minute`; plain SQL that an old sqlite3 command line (3.34) runs. The rest may change with a
//! migration.

use energi_decoders::{Field, packets};
use rusqlite::Transaction;

use super::rollup::metrics::METRICS;
use crate::database::Schema;

/// Marks a database as this gateway's history (`PRAGMA application_id`): "enrg".
pub const APPLICATION_ID: i32 = 0x656e_7267;

/// Key of the time zone of `daily_energy` in `meta`.
pub(super) const ZONE_KEY: &str = "timezone";

/// The schema that this release writes (`PRAGMA user_version`).
pub const VERSION: i32 = SCHEMA.version();

/// The first version that keeps the packet of a reading.
pub(super) const PACKETS_SINCE: i32 = 4;

/// The history's.
pub(super) const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    create,
    migrations: &[parts_and_meta, pending, add_packets],
    // A commit appends a few short rows, and each page that it touches is written whole.
    page_size: 1024,
    holds: "history",
};

fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(SHAPE)?;
    transaction.execute_batch(ENERGY_QUARTER)?;
    transaction.execute_batch(META)?;
    transaction.execute_batch(PENDING)?;
    let columns = |prefix: &str, kind: &str| {
        (0..METRICS.len()).map(|slot| format!("{prefix}{slot} {kind}")).collect::<Vec<_>>()
    };
    transaction.execute_batch(&format!(
        "CREATE TABLE tally (id INTEGER PRIMARY KEY, total INTEGER NOT NULL, {},
             UNIQUE ({}));
         CREATE TABLE minute_sum (device INTEGER NOT NULL, time INTEGER NOT NULL,
             tally INTEGER NOT NULL, {}, PRIMARY KEY (device, time)) WITHOUT ROWID;",
        columns("n", "INTEGER NOT NULL").join(", "),
        columns("n", "").join(", "),
        columns("s", "INTEGER").join(", "),
    ))?;
    let mut insert =
        transaction.prepare("INSERT INTO metric (key, slot, divide) VALUES (?1, ?2, ?3)")?;
    for (slot, metric) in METRICS.iter().enumerate() {
        insert.execute((metric.key, i64::try_from(slot).unwrap_or_default(), metric.divide))?;
    }
    let pick = |prefix: &str| {
        let cases = (0..METRICS.len()).map(|slot| format!("WHEN {slot} THEN {prefix}{slot}"));
        format!("CASE k.slot {} END", cases.collect::<Vec<_>>().join(" "))
    };
    // CROSS JOIN keeps SQLite to this order: a device, a range of its times, then the key.
    transaction.execute_batch(&format!(
        "CREATE VIEW minute (time, serial, key, mean) AS
             SELECT m.time, d.serial, k.key,
                 CAST({sum} AS REAL) / (({count}) * k.divide)
             FROM device d CROSS JOIN minute_sum m ON m.device = d.id
                 CROSS JOIN tally t ON t.id = m.tally CROSS JOIN metric k
             WHERE {sum} IS NOT NULL;",
        sum = pick("m.s"),
        count = pick("t.n"),
    ))
}

/// Quarters in parts, and what the days were made with.
///
/// Of a quarter from before, nobody knows which times its readings were from: all of it, and so
/// nothing can be added to it.
fn parts_and_meta(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE energy_quarter RENAME TO whole_quarter")?;
    transaction.execute_batch(ENERGY_QUARTER)?;
    transaction.execute_batch(META)?;
    transaction.execute_batch(
        "INSERT INTO energy_quarter SELECT device, quarter, -60000000, 900000000,
             import, export, generation, grid_readings, generation_readings, NULL, NULL
             FROM whole_quarter ORDER BY device, quarter;
         DROP TABLE whole_quarter;",
    )
}

/// Returns what waits to be rolled up.
fn pending(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(PENDING)
}

/// Adds the packet to each list of keys, and lets lists of several packets be the same.
fn add_packets(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE shape RENAME TO older_shape")?;
    transaction.execute_batch(SHAPE)?;
    let mut insert =
        transaction.prepare("INSERT INTO shape (id, keys, packet) VALUES (?1, ?2, ?3)")?;
    let mut select = transaction.prepare("SELECT id, keys FROM older_shape")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, keys): (i64, String) = (row.get(0)?, row.get(1)?);
        insert.execute((id, &keys, packet_of(&keys)))?;
    }
    drop(rows);
    transaction.execute_batch("DROP TABLE older_shape")
}

/// The one packet whose records have these keys, a JSON array; `None` where there are several, as of
/// a decoder that reads records of any length.
pub(super) fn packet_of(keys: &str) -> Option<u8> {
    let keys: Vec<&str> = serde_json::from_str(keys).ok()?;
    // Keys of a declared decoder begin with its packet.
    let declared = keys.first()?.strip_prefix("0x").and_then(|key| key.split_once('/'));
    if let Some((packet, _)) = declared {
        return u8::from_str_radix(packet, 16).ok();
    }
    let layout = packets::all()
        .find(|layout| layout.fields.iter().map(Field::key).eq(keys.iter().copied()))?;
    layout.length
}

/// A list of keys, a row for each packet that has it. `packet` is null where readings of before
/// version 4 are from several packets.
const SHAPE: &str = "
CREATE TABLE shape (id INTEGER PRIMARY KEY, keys TEXT NOT NULL, packet INTEGER,
    UNIQUE (keys, packet));
";

/// Energy of a quarter of an hour in mWh, `quarter` counts them since 1970: a row for each part of
/// its readings that was made without the others, from `first` to `last` in µs since its start,
/// with the last powers in watts. Before version 2 a row was a whole quarter.
const ENERGY_QUARTER: &str = "
CREATE TABLE energy_quarter (device INTEGER NOT NULL, quarter INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    import INTEGER NOT NULL, export INTEGER NOT NULL, generation INTEGER NOT NULL,
    grid_readings INTEGER NOT NULL, generation_readings INTEGER NOT NULL,
    last_grid INTEGER, last_generation INTEGER,
    PRIMARY KEY (device, quarter, first)) WITHOUT ROWID;
";

/// The time zone of `daily_energy`; since version 2.
const META: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// Quarter-hours with readings that may not be rolled up yet; since version 3.
const PENDING: &str = "
CREATE TABLE pending (device INTEGER NOT NULL, quarter INTEGER NOT NULL,
    PRIMARY KEY (device, quarter)) WITHOUT ROWID;
";

/// The tables and views that every version has.
///
/// - `reading`: a row a record as decoded, `vals` its values as a JSON array in the order of
///   `shape.keys`, null where one was withheld. `time` is in ms, `us` the microseconds beyond. The
///   whole row is the key, so that the same capture twice adds nothing.
/// - `field`: `shape` unpacked, for the view.
/// - `minute_sum`: sums of raw numbers of a minute, `tally` says of how many.
/// - `energy_point`: accepted readings of the daily counter, µs and Wh.
/// - `coverage`: when the device was received, µs.
const TABLES: &str = "
CREATE TABLE device (id INTEGER PRIMARY KEY, serial INTEGER NOT NULL UNIQUE);
CREATE TABLE field (shape INTEGER NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (shape, key, path)) WITHOUT ROWID;
CREATE TABLE reading (device INTEGER NOT NULL, time INTEGER NOT NULL, us INTEGER NOT NULL,
    shape INTEGER NOT NULL, vals TEXT NOT NULL,
    PRIMARY KEY (device, time, us, shape, vals)) WITHOUT ROWID;
CREATE TABLE metric (key TEXT PRIMARY KEY, slot INTEGER NOT NULL, divide INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE energy_point (device INTEGER NOT NULL, time INTEGER NOT NULL,
    energy INTEGER NOT NULL, PRIMARY KEY (device, time)) WITHOUT ROWID;
CREATE TABLE coverage (device INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    PRIMARY KEY (device, start)) WITHOUT ROWID;
CREATE TABLE daily_energy (serial INTEGER NOT NULL, date TEXT NOT NULL, diverted_kwh REAL,
    import_kwh REAL, export_kwh REAL, generation_kwh REAL, complete INTEGER NOT NULL,
    PRIMARY KEY (serial, date)) WITHOUT ROWID;
CREATE VIEW sample (time, serial, key, value) AS
    SELECT r.time, d.serial, f.key, json_extract(r.vals, f.path)
    FROM device d CROSS JOIN reading r ON r.device = d.id
        CROSS JOIN field f ON f.shape = r.shape
    WHERE json_extract(r.vals, f.path) IS NOT NULL;
";

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::database::Identity;

    /// A history of version 1 with the energy of a quarter.
    fn of_version_1() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        let transaction = connection.transaction().unwrap();
        create(&transaction).unwrap();
        transaction
            .execute_batch(
                "DROP TABLE meta; DROP TABLE pending; DROP TABLE shape; DROP TABLE energy_quarter;
                 CREATE TABLE shape (id INTEGER PRIMARY KEY, keys TEXT NOT NULL UNIQUE);
                 CREATE TABLE energy_quarter (device INTEGER NOT NULL, quarter INTEGER NOT NULL,
                     import INTEGER NOT NULL, export INTEGER NOT NULL,
                     generation INTEGER NOT NULL, grid_readings INTEGER NOT NULL,
                     generation_readings INTEGER NOT NULL,
                     PRIMARY KEY (device, quarter)) WITHOUT ROWID;
                 INSERT INTO energy_quarter VALUES (1, 1944864, 250000, 40, 7, 450, 449);",
            )
            .unwrap();
        transaction.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        transaction.pragma_update(None, "user_version", 1).unwrap();
        transaction.commit().unwrap();
        connection
    }

    fn objects(connection: &Connection) -> Vec<(String, Option<String>)> {
        let select = "SELECT name, sql FROM sqlite_schema ORDER BY name";
        let mut select = connection.prepare(select).unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_migrated_history_is_like_a_new_one() {
        let (mut old, mut new) = (of_version_1(), Connection::open_in_memory().unwrap());
        SCHEMA.migrate(&mut old).unwrap();
        SCHEMA.migrate(&mut new).unwrap();
        assert_eq!(objects(&old), objects(&new));
    }

    #[test]
    fn energy_of_an_older_release_stays() {
        let mut connection = of_version_1();
        SCHEMA.migrate(&mut connection).unwrap();
        let kept: (i64, i64, i64, i64) = connection
            .query_row(
                "SELECT import, export, generation, grid_readings + generation_readings
                 FROM energy_quarter WHERE device = 1 AND quarter = 1944864",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!(kept, (250_000, 40, 7, 899));
        assert_eq!(SCHEMA.identify(&connection).unwrap(), Identity::Ours(VERSION));
    }
}
