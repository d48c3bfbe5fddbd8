//! `energi-gateway research`: what unknown packets mean. One file a subcommand; the analysis itself
//! is in `crate::research`.

mod bits;
mod bytes;
mod correlate;
mod export;
mod input;
mod number;
mod output;
mod outside;
mod selected;
mod types;
mod verify;

use clap::Subcommand;

use crate::platform::exit::Failure;

/// Arguments of `research`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The analysis to run
    #[command(subcommand)]
    question: Question,
}

/// Analyses of a capture.
#[derive(Debug, Subcommand)]
enum Question {
    /// List the kinds of records: length, type, source, number and interval
    Types(types::Args),
    /// Show how each byte of a kind of record behaves, or which bytes changed at a given time
    Bytes(bytes::Args),
    /// Find the bytes that follow a known metric, or a series from outside, with scale, lag and
    /// significance
    Correlate(correlate::Args),
    /// Find the bits that change together with a state that you noted, such as a mode
    Bits(bits::Args),
    /// Test the custom decoders of a configuration against a capture; exit code 65 if they do not fit
    Verify(verify::Args),
    /// Write the devices' frames to an anonymised capture that can be shared
    Export(export::Args),
}

/// Answers the question.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.question {
        Question::Types(args) => types::run(args),
        Question::Bytes(args) => bytes::run(args),
        Question::Correlate(args) => correlate::run(args),
        Question::Bits(args) => bits::run(args),
        Question::Verify(args) => verify::run(args),
        Question::Export(args) => export::run(args),
    }
}
