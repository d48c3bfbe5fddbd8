//! `energi-gateway run`: the gateway itself.

use std::path::PathBuf;

use tracing::{info, warn};

use crate::config::Config;
use crate::gateway::GatewayBuilder;
#[cfg(feature = "mqtt")]
use crate::home_assistant::HomeAssistantApp;
use crate::platform::clock;
use crate::platform::exit::Failure;
use crate::platform::runtime;
use crate::platform::signals::Signals;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: the first of ./config.yaml,
    /// $XDG_CONFIG_HOME/energi-gateway/config.yaml and /etc/energi-gateway/config.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run as a Home Assistant app: take the configuration from the app's options
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
    for warning in &config.warnings {
        warn!("{warning}");
    }
    greet(&config);
    let runtime = runtime::create()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let gateway = GatewayBuilder::new(&config)?.as_service().build()?;
        gateway.run(async || signals.next().await).await
    });
    // A write that blocks on its reader would hold the runtime's end forever.
    runtime.shutdown_background();
    result
}

/// Logs what starts, in a line.
fn greet(config: &Config) {
    let sinks: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config.file.display(),
        source = %config.capture,
        sinks = sinks.join(", "),
        "energi-gateway starts"
    );
    if config.capture.is_live() && clock::is_unsynchronised() {
        warn!(
            "the system's clock is not synchronised, so times may be wrong; on a machine without a \
             battery-backed clock, install fake-hwclock, and let NTP reach its servers"
        );
    }
}
