//! A custom sink: every value as a line of CSV, beside the sinks of a configuration.
//!
//! `cargo run --release --example custom_sink -- config.example.yaml values.csv`
//!
//! docs/adding-a-sink.md walks through it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use energi_decoders::Reading;
use energi_gateway::config::{self, Config};
use energi_gateway::gateway::Output;
use energi_gateway::gateway::build;
use energi_gateway::platform::logging;
use energi_sinks::runner::RetryPolicy;
use energi_sinks::{Batching, Context, Sink, SinkConfig, SinkError, Written};
use tokio::task::spawn_blocking;

/// What has to be known to open it.
#[derive(Debug)]
struct CsvConfig {
    path: PathBuf,
}

#[async_trait]
impl SinkConfig for CsvConfig {
    async fn open(&self, _context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let open = File::options().create(true).append(true).open(&self.path);
        let file = open.map_err(|error| {
            let path = self.path.display();
            SinkError::permanent(format!(
                "cannot open {path}: {error}; name a file that can be made"
            ))
        })?;
        Ok(Box::new(Csv { file: Arc::new(file) }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Ok(format!("{} will be added to", self.path.display()))
    }
}

/// The file, open.
struct Csv {
    file: Arc<File>,
}

#[async_trait]
impl Sink for Csv {
    fn batching(&self) -> Batching {
        Batching { readings: 1000, wait: Duration::from_secs(1) }
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let mut lines = Vec::new();
        for reading in batch {
            let time = reading.time.map(|time| time.to_string()).unwrap_or_default();
            for (field, value) in reading.fields() {
                let (serial, key) = (reading.serial, field.key());
                lines.extend(format!("{time},{serial},{key},{value}\n").bytes());
            }
        }
        let file = Arc::clone(&self.file);
        let appended = spawn_blocking(move || append(&file, &lines)).await;
        let appended = appended.unwrap_or_else(|died| Err(died.into()));
        let failed = |error| SinkError::transient(format!("cannot write the csv file: {error}"));
        appended.map(|()| Written::all(batch.len())).map_err(failed)
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Writes all lines or none, so that a batch that is offered again is not there twice.
fn append(mut file: &File, lines: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(lines).or_else(|error| file.set_len(before).and(Err(error)))
}

/// Runs the gateway of a configuration with this sink beside those that it lists.
pub(crate) async fn run(config: &Config, csv: &Path) -> Result<()> {
    let mut gateway = build::gateway(config)?;
    gateway.outputs.push(Output {
        config: Arc::new(CsvConfig { path: csv.to_owned() }),
        context: config.context("csv"),
        stats: Arc::default(),
        retry_policy: RetryPolicy::Attempts(8),
    });
    gateway.run().await?;
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [configuration, csv] = &*arguments else {
        bail!("usage: custom_sink CONFIG.yaml VALUES.csv")
    };
    logging::start(logging::LogFormat::Text);
    let config = config::load(configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&config, csv))
}
