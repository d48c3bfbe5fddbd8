//! The daily energy of a SQLite history, copied row by row where a row has changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::failure::failure;
use crate::runner::Outage;

/// Interval at which the history is looked into.
const EVERY: Duration = Duration::from_mins(10);

/// Time to wait after a failure.
const AFTER_A_FAILURE: Duration = Duration::from_mins(1);

/// Time to wait for the history's writer.
const BUSY: Duration = Duration::from_secs(5);

/// The role needs no more than this on its own rows, and a row that is the same stays as it is.
const UPSERT: &str = "
    INSERT INTO daily_energy
        (serial, date, diverted_kwh, import_kwh, export_kwh, generation_kwh, complete, site)
    VALUES ($1, ($2::text)::date, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (serial, date) DO UPDATE SET
        diverted_kwh = excluded.diverted_kwh, import_kwh = excluded.import_kwh,
        export_kwh = excluded.export_kwh, generation_kwh = excluded.generation_kwh,
        complete = excluded.complete, site = excluded.site";

/// A history, and what the server has of it.
#[derive(Debug)]
pub(super) struct DailyEnergy {
    history: PathBuf,
    state: Mutex<DailyState>,
}

#[derive(Debug)]
struct DailyState {
    /// Time of the next look.
    next: Instant,
    sent: HashMap<(i64, String), DailyRow>,
    outage: Outage,
}

/// Diverted, import, export, generation in kWh, and whether the day is complete.
#[derive(Debug, Clone, PartialEq)]
struct DailyRow {
    kwh: [Option<f64>; 4],
    complete: bool,
}

impl DailyEnergy {
    pub(super) fn new(history: PathBuf, sink: &str) -> Self {
        let outage = Outage::new(format!("{sink}, daily energy"));
        let state = DailyState { next: Instant::now(), sent: HashMap::new(), outage };
        Self { history, state: Mutex::new(state) }
    }

    /// Copies what has changed, if it is time or has to be now. A failure costs no reading, and is
    /// tried again.
    pub(super) async fn copy(
        &self,
        client: &mut Client,
        site: Option<&str>,
        server: &str,
        limit: Duration,
        now: bool,
    ) {
        let mut state = self.state.lock().await;
        if !now && Instant::now() < state.next {
            return;
        }
        let copied = timeout(limit, self.copy_changes(&mut state, client, site, server)).await;
        let pause = match copied.unwrap_or_else(|_| Err(format!("{server}: no answer in time"))) {
            Ok(()) => {
                state.outage.recovered();
                EVERY
            }
            Err(why) => {
                state.outage.failed(why);
                AFTER_A_FAILURE
            }
        };
        state.next = Instant::now() + pause;
    }

    async fn copy_changes(
        &self,
        state: &mut DailyState,
        client: &mut Client,
        site: Option<&str>,
        server: &str,
    ) -> Result<(), String> {
        let history = self.history.clone();
        let rows = tokio::task::spawn_blocking(move || read(&history)).await;
        let rows = rows.map_err(|died| died.to_string())?;
        let mut rows = rows.map_err(|error| format!("{}: {error}", self.history.display()))?;
        rows.retain(|key, row| state.sent.get(key) != Some(row));
        upsert(client, site, &rows).await.map_err(|error| failure(server, &error).to_string())?;
        state.sent.extend(rows);
        Ok(())
    }
}

fn read(history: &Path) -> rusqlite::Result<HashMap<(i64, String), DailyRow>> {
    // Through SQLite alone, which knows of the connection that this process may write with: to close
    // a file handle of the history's would take the locks of that connection.
    let history = Connection::open_with_flags(history, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    history.busy_timeout(BUSY)?;
    let mut statement = history.prepare(
        "SELECT serial, date, diverted_kwh, import_kwh, export_kwh, generation_kwh, complete
         FROM daily_energy",
    )?;
    let rows = statement.query_map([], |row| {
        let kwh = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        Ok(((row.get(0)?, row.get(1)?), DailyRow { kwh, complete: row.get(6)? }))
    })?;
    rows.collect()
}

async fn upsert(
    client: &mut Client,
    site: Option<&str>,
    rows: &HashMap<(i64, String), DailyRow>,
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let statement = transaction.prepare(UPSERT).await?;
    for ((serial, date), DailyRow { kwh: [diverted, import, export, generation], complete }) in rows
    {
        transaction
            .execute(
                &statement,
                &[serial, date, diverted, import, export, generation, complete, &site],
            )
            .await?;
    }
    transaction.commit().await
}
