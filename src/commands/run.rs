//! `energi-gateway run`: the gateway itself.

use std::path::PathBuf;

use crate::config::Config;
use crate::gateway::build;
#[cfg(feature = "mqtt")]
use crate::home_assistant::HomeAssistantApp;
use crate::platform::exit::{Exit, Failure};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: the first of ./config.yaml,
    /// $XDG_CONFIG_HOME/energi-gateway/config.yaml and /etc/energi-gateway/config.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run as a Home Assistant app, configured by the options on its page
    #[cfg(feature = "mqtt")]
    #[arg(long, conflicts_with = "config")]
    home_assistant: bool,
}

impl Args {
    fn configuration(&self) -> Result<Config, Failure> {
        #[cfg(feature = "mqtt")]
        if self.home_assistant {
            return Ok(HomeAssistantApp::installed().configuration()?);
        }
        super::configuration(self.config.as_deref())
    }
}

/// Runs until the input ends or a signal comes.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.configuration()?;
    // One thread is enough for tasks that mostly wait; capture and SQLite have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, error))?;
    let result = runtime.block_on(async { build::gateway(&config)?.run().await });
    // A write that blocks on its reader would hold the runtime's end for ever.
    runtime.shutdown_background();
    result
}
