//! Path of the history, and its settings in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use energi_sinks::registry::AnyConfig;
use energi_sinks::settings::Tariff;
use jiff::tz::TimeZone;

use crate::config::{self, Config};
use crate::history::HistoryError;
use crate::platform::exit::{Exit, Failure};

/// History that a command is about.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HistoryLocation {
    /// The file of the history [default: that of the configuration's first sqlite sink]
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,

    /// The configuration [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A history that was found.
#[derive(Debug, Clone)]
pub(super) struct LocatedHistory {
    pub(super) path: PathBuf,
    /// Names of devices, by serial number.
    pub(super) names: BTreeMap<u32, String>,
    /// Time zone of the configuration, in which days begin; the system's without one.
    pub(super) timezone: TimeZone,
    pub(super) tariff: Option<Tariff>,
}

impl HistoryLocation {
    /// Finds the history. With `--db` the configuration is not needed.
    pub(super) fn find(&self) -> Result<LocatedHistory, Failure> {
        let config = match (&self.config, &self.db) {
            (None, Some(_)) => config::find().and_then(|path| config::load(&path)).ok(),
            (path, None) => Some(super::configuration(path.as_deref()).map_err(|failure| {
                let hint = format!("{failure:#}; or name the history with --db FILE");
                Failure::message(failure.exit, hint)
            })?),
            (path, Some(_)) => Some(super::configuration(path.as_deref())?),
        };
        let path = match (&self.db, &config) {
            (Some(path), _) => path.clone(),
            (None, Some(config)) => configured(config)?.to_owned(),
            (None, None) => PathBuf::new(),
        };
        Ok(LocatedHistory {
            path,
            names: config.as_ref().map(|config| config.devices.names()).unwrap_or_default(),
            timezone: config.as_ref().map_or_else(TimeZone::system, |it| it.timezone.clone()),
            tariff: config.and_then(|config| config.tariff),
        })
    }
}

/// The history of the first sqlite sink.
fn configured(config: &Config) -> Result<&Path, Failure> {
    #[allow(irrefutable_let_patterns, reason = "a build may have no other sink")]
    let path = config.sinks.iter().find_map(|sink| {
        if let AnyConfig::Sqlite(sqlite) = &sink.config {
            Some(sqlite.path.as_path())
        } else {
            None
        }
    });
    path.ok_or_else(|| {
        let text = "the configuration has no sqlite sink; name the history with --db FILE";
        Failure::new(Exit::Usage, HistoryError::Usage(text.to_owned()))
    })
}
