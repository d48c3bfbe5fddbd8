//! Configuration of a `sqlite` sink.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::Period;

/// A history in a SQLite database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// The database file, relative to the working directory; made when it is absent.
    pub path: PathBuf,
    /// Time for which samples are kept.
    pub retention: Retention,
    /// Interval at which readings are committed: what a power cut may cost.
    pub flush_interval: Period,
}

/// Time for which samples are kept. Minute means and daily energy are permanent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Single readings: counted back from the earlier of now and the newest one.
    pub samples: Period,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("energi.db"),
            retention: Retention::default(),
            flush_interval: Period::from_secs(5),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { samples: Period::from_days(30) }
    }
}
