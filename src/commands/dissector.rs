//! `energi-gateway dissector`: the field tables for Wireshark.

use std::path::PathBuf;

use energi_decoders::Decoder;

use crate::config::Decoders;
use crate::dissector::Dissector;
use crate::platform::exit::{Exit, Failure};

/// Arguments of `dissector`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A configuration; its custom decoders are included
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the dissector: every built-in decoder, and those that a configuration declares.
///
/// # Errors
/// The configuration is wrong, or the result cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut decoders = Decoders::default();
    decoders.experimental.values_mut().for_each(|on| *on = true);
    if let Some(path) = &args.config {
        decoders.custom = super::configuration(Some(path))?.decoders.custom;
    }
    let table = decoders.table().map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::message(Exit::Config, problems.join("\n"))
    })?;
    let layouts: Vec<_> = table.iter().map(Decoder::layout).collect();
    super::print(Dissector::new(&layouts).to_string().as_bytes())
}
