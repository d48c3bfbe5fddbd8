//! A history of a household, as the gateway leaves it.
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

use std::path::{Path, PathBuf};

use jiff::ToSpan;
use jiff::civil::Date;
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// A database in a directory of its own.
pub(crate) struct Household {
    directory: TempDir,
    pub(crate) connection: Connection,
}

impl Household {
    /// Creates a history without a day.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("energi.db");
        let yaml = format!(
            "timezone: Europe/London\ncapture: {{type: simulator}}\n\
             sinks: [{{type: sqlite, path: \"{}\"}}]",
            path.display()
        );
        let config =
            energi_gateway::config::parse(&yaml, Path::new("test.yaml"), &|_| None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sink =
                config.sinks[0].config.sink().open(&config.context("sqlite")).await.unwrap();
            sink.close().await.unwrap();
        });
        let connection = Connection::open(path).unwrap();
        Self { directory, connection }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("energi.db")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Closes it as an orderly stop does. The directory goes with what is returned.
    pub(crate) fn close(self) -> TempDir {
        self.connection.close().unwrap();
        self.directory
    }

    pub(crate) fn add(&self, serial: u32, date: &str, kwh: [Option<f64>; 4], complete: bool) {
        self.connection
            .execute(
                "INSERT INTO daily_energy VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![serial, date, kwh[0], kwh[1], kwh[2], kwh[3], complete],
            )
            .unwrap();
    }

    /// Days of a sunny summer and a dark winter, the same for the same arguments. Every 11th is
    /// incomplete, and the 23rd to the 25th are missing.
    pub(crate) fn live(&self, serial: u32, first: Date, days: i64) {
        self.connection.execute_batch("BEGIN").unwrap();
        for offset in 0..days {
            let date = first + offset.days();
            if (22..25).contains(&offset) {
                continue;
            }
            let chance = |salt: i64| {
                let mixed = (offset * 7919 + salt * 104_729 + i64::from(serial)) % 1009;
                mixed as f64 / 1009.0
            };
            let season = (f64::from(date.day_of_year() - 81) / 365.0 * std::f64::consts::TAU).sin();
            let generation = (11.0 + 9.0 * season) * (0.25 + 0.75 * chance(1));
            let diverted = (generation * (0.2 + 0.4 * chance(2))).min(12.0);
            let import = (9.0 - 4.0 * season) * (0.6 + 0.4 * chance(3));
            let export = (generation - diverted) * 0.5 * chance(4);
            let kwh = [diverted, import, export, generation].map(|kwh| Some(round(kwh)));
            self.add(serial, &date.to_string(), kwh, offset % 11 != 10);
        }
        self.connection.execute_batch("COMMIT").unwrap();
    }

    /// Stores a value; `value` is its JSON.
    pub(crate) fn sample(&self, time: &str, serial: u32, key: &str, value: &str) {
        let time: jiff::Timestamp = time.parse().unwrap();
        let (ms, us) = (time.as_millisecond(), time.as_microsecond().rem_euclid(1000));
        let keys = format!("[\"{key}\"]");
        let rows: [(&str, &[&dyn rusqlite::ToSql]); 4] = [
            ("INSERT OR IGNORE INTO device (serial) VALUES (?)", &[&serial]),
            ("INSERT OR IGNORE INTO shape (keys, packet) VALUES (?, 0x22)", &[&keys]),
            (
                "INSERT OR IGNORE INTO field SELECT id, ?1, '$[0]' FROM shape WHERE keys = ?2",
                &[&key, &keys],
            ),
            (
                "INSERT INTO reading SELECT d.id, ?1, ?2, s.id, ?3 FROM device d, shape s
                 WHERE serial = ?4 AND keys = ?5",
                &[&ms, &us, &format!("[{value}]"), &serial, &keys],
            ),
        ];
        for (sql, values) in rows {
            self.connection.execute(sql, values).unwrap();
        }
    }
}

fn round(kwh: f64) -> f64 {
    (kwh * 1000.0).round() / 1000.0
}
