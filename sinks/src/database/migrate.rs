//! Ownership of a database file, and its migration to the present schema.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::{Refusal, StoreError};

/// A change of a database's tables.
pub(crate) type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// Identity of a kind of database.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Marks it (`PRAGMA application_id`).
    pub(crate) application_id: i32,
    /// Creates the tables of the present version in an empty file.
    pub(crate) create: Migration,
    /// The steps from version 1 (`PRAGMA user_version`) to 2, to 3 and so on.
    pub(crate) migrations: &'static [Migration],
    /// Bytes of a page in a new file.
    pub(crate) page_size: u32,
    /// Content of the database, for messages.
    pub(crate) holds: &'static str,
}

/// Owner of a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nothing is in it yet.
    Empty,
    /// The database is of the expected kind, with this schema version.
    Ours(i32),
}

impl Schema {
    /// The version that this release writes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a few")]
    pub(crate) const fn version(&self) -> i32 {
        self.migrations.len() as i32 + 1
    }

    /// Says whose database `connection` has open.
    ///
    /// # Errors
    /// [`Refusal::OtherProgram`] and [`Refusal::Newer`], and whatever SQLite says.
    pub(crate) fn identify(&self, connection: &Connection) -> Result<Identity, StoreError> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (application, found) = (pragma("application_id")?, pragma("user_version")?);
        let objects: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let known = self.version();
        match (application, found) {
            (0, 0) if objects == 0 => Ok(Identity::Empty),
            (application, _) if application != self.application_id => {
                Err(Refusal::OtherProgram.into())
            }
            (_, found) if found > known => Err(Refusal::Newer { found, known }.into()),
            (_, found) => Ok(Identity::Ours(found)),
        }
    }

    /// Brings the database to the present version, whole or not at all.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub(crate) fn migrate(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let present = Identity::Ours(self.version());
        if self.identify(connection)? == present {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match self.identify(&transaction)? {
            Identity::Empty => (self.create)(&transaction)?,
            identity if identity == present => return Ok(()),
            Identity::Ours(version) => {
                let done = usize::try_from(version - 1).unwrap_or_default();
                for migration in self.migrations.iter().skip(done) {
                    migration(&transaction)?;
                }
            }
        }
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.pragma_update(None, "user_version", self.version())?;
        Ok(transaction.commit()?)
    }
}
