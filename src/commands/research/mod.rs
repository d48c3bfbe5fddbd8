//! `energi-gateway research`: what unknown packets mean. One file a subcommand; the analysis itself
//! is in [`crate::research`].

mod input;
mod output;
mod types;

use clap::Subcommand;

use crate::exit::Failure;

/// Arguments of `research`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to look at
    #[command(subcommand)]
    question: Question,
}

/// What can be asked of a capture.
#[derive(Debug, Subcommand)]
enum Question {
    /// List the kinds of records: length, type and source, how many and how often
    Types(types::Args),
}

/// Answers the question.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.question {
        Question::Types(args) => types::run(args),
    }
}
