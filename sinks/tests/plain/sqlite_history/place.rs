//! A history in a directory of its own, and what is in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use energi_decoders::Reading;
use energi_sinks::settings::Period;
use energi_sinks::sqlite::{Retention, SqliteConfig};
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig, SinkError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use support::readings::{Device, SERIAL};

pub(crate) type Readings = Vec<Arc<Reading>>;

/// A history in a directory of its own, in London.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    /// Another directory for the database.
    pub(crate) at: Option<PathBuf>,
    pub(crate) keep: Period,
    pub(crate) live: bool,
    pub(crate) timezone: &'static str,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keep = Period::from_days(30);
        Self { directory, at: None, keep, live: false, timezone: "Europe/London" }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.at.as_deref().unwrap_or(self.directory.path()).join("energi.db")
    }

    pub(crate) fn config(&self) -> SqliteConfig {
        SqliteConfig {
            path: self.path(),
            retention: Retention { samples: self.keep },
            flush_interval: Period::from_secs(5),
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            name: "history".to_owned(),
            site: None,
            timezone: TimeZone::get(self.timezone).unwrap(),
            device_names: Arc::new(BTreeMap::new()),
            only_devices: None,
            layouts: Arc::default(),
            live: self.live,
            backpressure: Backpressure::Wait,
            tariff: None,
            status: StatusHandle::default(),
        }
    }

    pub(crate) async fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        self.config().open(&self.context()).await
    }

    pub(crate) async fn store(&self, readings: &[Arc<Reading>]) {
        let mut sink = self.open().await.unwrap();
        for batch in readings.chunks(5_000) {
            sink.write(batch).await.unwrap();
        }
        sink.close().await.unwrap();
    }

    pub(crate) async fn refusal(&self) -> String {
        match self.open().await {
            Ok(_) => panic!("it was opened"),
            Err(SinkError::Permanent(text)) => text,
            Err(error) => panic!("not broken: {error:?}"),
        }
    }

    pub(crate) fn sql(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Everything that stays forever, as text.
    pub(crate) fn for_ever(&self) -> Vec<String> {
        let connection = self.sql();
        let mut all = rows(&connection, "SELECT * FROM daily_energy ORDER BY 1, 2");
        all.extend(rows(
            &connection,
            "SELECT time, serial, key, mean FROM minute ORDER BY 1, 2, 3",
        ));
        all.extend(rows(&connection, "SELECT device, start, end FROM coverage ORDER BY 1, 2"));
        all
    }

    /// Everything.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut all = self.for_ever();
        all.extend(rows(&self.sql(), "SELECT * FROM sample ORDER BY 1, 2, 3, 4"));
        all
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<Result<Vec<_>, _>>()
    });
    rows.unwrap().map(|row| row.unwrap().join("|")).collect()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A date's row: diverted, import, export, generation, complete.
pub(crate) type Row = (Option<f64>, Option<f64>, Option<f64>, Option<f64>, i64);

pub(crate) fn day(place: &Place, date: &str) -> Option<Row> {
    place
        .sql()
        .query_row(
            "SELECT diverted_kwh, import_kwh, export_kwh, generation_kwh, complete
             FROM daily_energy WHERE serial = ?1 AND date = ?2",
            (SERIAL, date),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .ok()
}

/// An hour of a household.
pub(crate) fn hour() -> Readings {
    Device::default().life(at("2026-01-20T10:00:00Z"), hours(1))
}
