//! The history as requests read it: a connection each, on threads of their own, few at a time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::energy::{Energy, EnergyDay};
use crate::settings::Tariff;
use crate::sqlite::{DaySelection, History, MinuteMeans, ReadError, savings};

/// Questions that are answered at the same time; the others wait.
const READERS: usize = 2;

/// Longest time that a question may wait for its turn.
const TURN: Duration = Duration::from_secs(5);

/// The file of a history, and the right to ask it.
pub(super) struct HistoryFile {
    path: Arc<Path>,
    readers: Arc<Semaphore>,
}

impl HistoryFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: path.into(), readers: Arc::new(Semaphore::new(READERS)) }
    }

    /// Energy of the selected days, by serial number and date.
    pub(super) async fn days(&self, selection: DaySelection) -> Result<Vec<EnergyDay>, Problem> {
        self.ask(move |history| history.days(&selection)).await
    }

    /// The selected days, and what each device has saved on them.
    pub(super) async fn savings(
        &self,
        selection: DaySelection,
        tariff: Option<Tariff>,
        timezone: TimeZone,
    ) -> Result<(Vec<EnergyDay>, BTreeMap<u32, f64>), Problem> {
        self.ask(move |history| {
            let days = history.days(&selection)?;
            let saved = match &tariff {
                Some(tariff) => savings(history, &days, tariff, &timezone)?.by_device(),
                None => BTreeMap::new(),
            };
            Ok((days, saved))
        })
        .await
    }

    /// Minute means of each of `keys`, oldest first.
    pub(super) async fn minutes(
        &self,
        serial: u32,
        keys: Vec<String>,
        span: (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<MinuteMeans>, Problem> {
        self.ask(move |history| {
            keys.iter().map(|key| history.minutes(serial, key, span, limit)).collect()
        })
        .await
    }

    /// Minute means of `key` from the device's first minute of the period, of `most` time; and the time
    /// of the device's first minute beyond them, which may lack the key.
    pub(super) async fn some_minutes(
        &self,
        serial: u32,
        key: &'static str,
        (start, end): (Timestamp, Timestamp),
        most: SignedDuration,
    ) -> Result<(MinuteMeans, Option<Timestamp>), Problem> {
        self.ask(move |history| {
            let Some(first) = history.first_minute(serial, (start, end))? else {
                return Ok((MinuteMeans::new(), None));
            };
            let until = first.saturating_add(most).unwrap_or(end).min(end);
            let limit = u32::try_from(most.as_mins()).unwrap_or(u32::MAX);
            let means = history.minutes(serial, key, (first, until), limit)?;
            Ok((means, history.first_minute(serial, (until, end))?))
        })
        .await
    }

    /// Serial numbers of the devices in it.
    pub(super) async fn serials(&self) -> Result<Vec<u32>, Problem> {
        self.ask(History::serials).await
    }

    /// Energy of one date by device; empty where the history cannot be read.
    pub(super) async fn day(&self, date: Date) -> BTreeMap<u32, Energy> {
        let selection = DaySelection { from: Some(date), to: Some(date), serials: Vec::new() };
        let days = self.days(selection).await.unwrap_or_default();
        days.into_iter().map(|day| (day.serial, day.energy)).collect()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&History) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.readers).acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            let detail = "too many others ask for the history; try again in a moment";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        };
        let path = Arc::clone(&self.path);
        let asked = tokio::task::spawn_blocking(move || {
            let _turn = permit;
            // Opened for each question: the file may be moved aside, restored or replaced.
            question(&History::open_beside_writer(&path)?)
        });
        match asked.await {
            Ok(answer) => answer.map_err(|error| self.failure(&error)),
            Err(died) => {
                let detail = format!("the history could not be read: {died}");
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
            }
        }
    }

    /// Returns what to say of a history that cannot be read.
    fn failure(&self, error: &ReadError) -> Problem {
        let path = self.path.display();
        let missing =
            matches!(error, ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound);
        let detail = if missing {
            format!("there is no history at {path} yet; a sqlite sink with this `path` creates it")
        } else {
            format!("the history {path} cannot be read: {error}")
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}
