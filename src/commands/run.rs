//! `energi-gateway run`: the gateway itself.

use std::path::PathBuf;

use crate::gateway::build;
use crate::platform::exit::{Exit, Failure};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: the first of ./config.yaml,
    /// $XDG_CONFIG_HOME/energi-gateway/config.yaml and /etc/energi-gateway/config.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs until the input ends or a signal comes.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = super::configuration(args.config.as_deref())?;
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
