//! Days of energy of a SQLite history as rows of a table.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::failure::failure;
use crate::energy::{Energy, EnergyDay};
use crate::runner::Outage;
use crate::sqlite::{DaySelection, History};

/// Interval at which the history is looked into.
const EVERY: Duration = Duration::from_mins(10);

/// Time to wait after a failure.
const AFTER_A_FAILURE: Duration = Duration::from_mins(1);

/// All days in one statement: one for each would take a journey to the server each. The role needs no
/// more than this on its own rows.
const UPSERT: &str = "
    INSERT INTO daily_energy
        (serial, date, diverted_kwh, import_kwh, export_kwh, generation_kwh, complete, site)
    SELECT serial, date::date, diverted, import, export, generation, complete, $8::text
    FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
        $7::boolean[]) AS day (serial, date, diverted, import, export, generation, complete)
    ON CONFLICT (serial, date) DO UPDATE SET
        diverted_kwh = excluded.diverted_kwh, import_kwh = excluded.import_kwh,
        export_kwh = excluded.export_kwh, generation_kwh = excluded.generation_kwh,
        complete = excluded.complete, site = excluded.site";

/// A history whose days are copied where they have changed.
#[derive(Debug)]
pub(super) struct DailyEnergy {
    history: PathBuf,
    state: Mutex<DailyState>,
}

#[derive(Debug)]
struct DailyState {
    /// Time of the next look.
    next: Instant,
    /// Days that the server has.
    sent: HashMap<(u32, Date), EnergyDay>,
    outage: Outage,
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
        client: &Client,
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
        client: &Client,
        site: Option<&str>,
        server: &str,
    ) -> Result<(), String> {
        let history = self.history.clone();
        let read = tokio::task::spawn_blocking(move || {
            History::open_beside_writer(&history)?.days(&DaySelection::default())
        });
        let days = read.await.map_err(|died| died.to_string())?;
        let mut days = days.map_err(|error| format!("{}: {error}", self.history.display()))?;
        days.retain(|day| state.sent.get(&(day.serial, day.date)) != Some(day));
        upsert(client, site, &days).await.map_err(|error| failure(server, &error).to_string())?;
        state.sent.extend(days.into_iter().map(|day| ((day.serial, day.date), day)));
        Ok(())
    }
}

/// Stores days in the place of those of the same devices and dates.
pub(super) async fn upsert(
    client: &Client,
    site: Option<&str>,
    days: &[EnergyDay],
) -> Result<(), tokio_postgres::Error> {
    let kwh = |of: fn(&Energy) -> Option<f64>| -> Vec<Option<f64>> {
        days.iter().map(|day| of(&day.energy)).collect()
    };
    let serials: Vec<i64> = days.iter().map(|day| day.serial.into()).collect();
    let dates: Vec<String> = days.iter().map(|day| day.date.to_string()).collect();
    let (diverted, import) = (kwh(|energy| energy.diverted), kwh(|energy| energy.import));
    let (export, generation) = (kwh(|energy| energy.export), kwh(|energy| energy.generation));
    let complete: Vec<bool> = days.iter().map(|day| day.complete).collect();
    client
        .execute(
            UPSERT,
            &[&serials, &dates, &diverted, &import, &export, &generation, &complete, &site],
        )
        .await
        .map(drop)
}
