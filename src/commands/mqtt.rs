//! `energi-gateway mqtt`: what the mqtt sinks have left on their brokers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Subcommand;
use energi_sinks::mqtt::{self, CleanReport};
use energi_sinks::registry::AnyConfig;
use tracing::warn;

use crate::platform::exit::{Exit, Failure};
use crate::platform::runtime;

/// Arguments of `mqtt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command to run
    #[command(subcommand)]
    pub action: Action,
}

/// Operations on brokers.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Remove every message that the mqtt sinks have retained on their brokers; stop the gateway
    /// first
    Clean {
        /// The configuration [default: as for `run`]
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// A device that is not in the configuration, for brokers that return no retained messages
        /// for a wildcard; may be given several times
        #[arg(long, value_name = "N")]
        serial: Vec<u32>,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
}

/// Runs the command for every mqtt sink, also where one fails.
///
/// # Errors
/// The configuration is wrong or has no mqtt sink, or a broker could not be cleaned.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Action::Clean { config, serial, yes } = &args.action;
    let config = super::configuration(config.as_deref())?;
    let listed = config.devices.list.iter().map(|device| device.serial);
    let devices: BTreeSet<u32> = listed.chain(serial.iter().copied()).collect();
    let sinks: Vec<_> = config
        .sinks
        .iter()
        .filter_map(|sink| match &sink.config {
            AnyConfig::Mqtt(config) => Some((sink.name.as_str(), config)),
            #[allow(unreachable_patterns, reason = "it may be the only sink of the program")]
            _ => None,
        })
        .collect();
    if sinks.is_empty() {
        return Err(Failure::message(Exit::Config, "the configuration lists no sink of type mqtt"));
    }
    let names: Vec<_> = sinks.iter().map(|(name, _)| *name).collect();
    let question = format!("Remove what these sinks have retained: {}?", names.join(", "));
    if !super::confirmed(&question, *yes)? {
        return super::print(b"nothing is changed\n");
    }
    let runtime = runtime::create()?;
    let mut failures = Vec::new();
    for (name, config) in sinks {
        match runtime.block_on(mqtt::clean(config, &devices)) {
            Ok(cleaned) => say(name, &cleaned)?,
            Err(error) => failures.push(format!("sink `{name}`: {error}")),
        }
    }
    runtime.shutdown_background();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::message(Exit::Unavailable, failures.join("\n")))
    }
}

/// A line for each topic that was freed.
fn say(name: &str, cleaned: &CleanReport) -> Result<(), Failure> {
    let mut lines: Vec<_> =
        cleaned.topics.iter().map(|topic| format!("{name}: removed {topic}\n")).collect();
    if lines.is_empty() {
        lines.push(format!("{name}: nothing was retained\n"));
    }
    for filter in &cleaned.refused {
        warn!(sink = name, topic = filter, "the broker refuses this subscription: not cleaned");
    }
    if cleaned.no_wildcards {
        warn!(
            sink = name,
            "the broker returns nothing for wildcards: only devices of the configuration were found; \
             name others with --serial"
        );
    }
    if cleaned.running {
        warn!(
            sink = name,
            "a gateway is running there: stop it and clean again, or restart it to announce its devices again"
        );
    }
    super::print(lines.concat().as_bytes())
}
