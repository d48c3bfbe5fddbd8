//! Keeps `daily_energy` to the days of the configured time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tracing::info;

use super::super::schema::ZONE_KEY;
use super::store;
use crate::database::StoreError;

/// Years whose offsets tell a zone without a name from another.
const KNOWN: [Timestamp; 2] =
    [Timestamp::constant(1_577_836_800, 0), Timestamp::constant(1_893_456_000, 0)];

/// Makes all days again where they were made with another zone than `tz`, or nobody knows which;
/// all of them or, on an error, none.
pub(in crate::sqlite) fn settle(
    connection: &mut Connection,
    tz: &TimeZone,
) -> Result<(), StoreError> {
    let name = name(tz);
    if stored(connection)?.as_ref() == Some(&name) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = stored(&transaction)?;
    store::rebuild(&transaction, tz)?;
    transaction
        .execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", (ZONE_KEY, &name))?;
    transaction.commit()?;
    if let Some(before) = before {
        info!("the time zone of days changed from {before} to {name}: daily energy was recomputed");
    }
    Ok(())
}

fn stored(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [ZONE_KEY], |row| row.get(0))
        .optional()
}

/// The zone's name; where it has none, its offset or its changes of offset from 2020 to 2030.
fn name(tz: &TimeZone) -> String {
    if let Some(name) = tz.iana_name() {
        return name.to_owned();
    }
    let [from, until] = KNOWN;
    let changes = tz.following(from).take_while(|change| change.timestamp() < until);
    changes.fold(format!("a zone with UTC{}", tz.to_offset(from)), |name, change| {
        format!("{name}, {} from {}", change.offset(), change.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_a_name_is_told_by_its_offsets() {
        let of = |rule: &str| name(&TimeZone::posix(rule).unwrap());
        assert_eq!(of("GMT0BST,M3.5.0/1,M10.5.0"), of("WET0WEST,M3.5.0/1,M10.5.0"));
        assert_ne!(of("GMT0BST,M3.5.0/1,M10.5.0"), of("GMT0"));
        assert_ne!(of("XST-1"), of("XST-2"));
        assert_eq!(name(&TimeZone::get("Europe/London").unwrap()), "Europe/London");
    }
}
