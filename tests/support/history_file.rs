//! A history of a household, as the gateway leaves it.
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

use std::path::{Path, PathBuf};

use jiff::ToSpan;
use jiff::civil::Date;
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// A database in a directory of its own.
pub struct Household {
    directory: TempDir,
    pub connection: Connection,
}

impl Household {
    /// Without a day.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("energi.db")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE daily_energy (
                     serial INTEGER NOT NULL, date TEXT NOT NULL,
                     diverted_kwh REAL, import_kwh REAL, export_kwh REAL, generation_kwh REAL,
                     complete INTEGER NOT NULL, PRIMARY KEY (serial, date)
                 ) WITHOUT ROWID;
                 CREATE TABLE reading (time INTEGER, serial INTEGER, key TEXT, value);
                 CREATE VIEW sample AS SELECT time, serial, key, value FROM reading;",
            )
            .unwrap();
        Self { directory, connection }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("energi.db")
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// As after an orderly stop. The directory goes with what is returned.
    pub fn close(self) -> TempDir {
        self.connection.close().unwrap();
        self.directory
    }

    pub fn add(&self, serial: u32, date: &str, kwh: [Option<f64>; 4], complete: bool) {
        self.connection
            .execute(
                "INSERT INTO daily_energy VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![serial, date, kwh[0], kwh[1], kwh[2], kwh[3], complete],
            )
            .unwrap();
    }

    /// Days of a sunny summer and a dark winter, the same for the same arguments. Every 11th is
    /// incomplete, and the 23rd to the 25th are missing.
    pub fn live(&self, serial: u32, first: Date, days: i64) {
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

    pub fn sample(&self, time: &str, serial: u32, key: &str, value: impl rusqlite::ToSql) {
        let time: jiff::Timestamp = time.parse().unwrap();
        self.connection
            .execute(
                "INSERT INTO reading VALUES (?, ?, ?, ?)",
                params![time.as_millisecond(), serial, key, value],
            )
            .unwrap();
    }
}

fn round(kwh: f64) -> f64 {
    (kwh * 1000.0).round() / 1000.0
}
