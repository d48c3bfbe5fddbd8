//! `energi-gateway check`: the configuration, validated and printed whole.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::gateway::build;
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::{self, Rights};
use crate::terminal::sanitize::one_line;

/// How long a sink may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also try the capture source and each sink
    #[arg(long)]
    connect: bool,
}

/// Prints the configuration with its defaults filled in and its secrets redacted.
///
/// # Errors
/// The configuration is wrong, or something did not answer.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = super::configuration(args.config.as_deref())?;
    let text = config.to_yaml().map_err(|error| Failure::new(Exit::Config, error))?;
    super::print(text.as_bytes())?;
    if args.connect { connect(&config) } else { Ok(()) }
}

/// Tries the capture source and every sink, and says a line on each as it answers.
fn connect(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, error))?;
    let mut failed = say("capture", build::probe(&config.capture))?;
    // A run opens its sinks without any privilege: root would find files open that a run may not.
    privileges::keep_only(Rights::None).map_err(|error| Failure::new(Exit::Permission, error))?;
    for sink in &config.sinks {
        let context = config.context(&sink.name);
        let answer = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, sink.config.sink().probe(&context)).await
        });
        let exit = if sink.config.sink().is_remote() { Exit::Unavailable } else { Exit::Io };
        let answer = match answer {
            Ok(answer) => answer.map_err(|error| Failure::message(exit, error)),
            Err(_) => Err(Failure::message(exit, "no answer within 10 s")),
        };
        failed = failed.or(say(&format!("sink {}", sink.name), answer)?);
    }
    // A probe that still blocks must not hold up the end.
    runtime.shutdown_background();
    match failed {
        Some(exit) => Err(Failure::message(exit, "not everything could be reached")),
        None => Ok(()),
    }
}

/// Prints one answer as a comment below the configuration, and returns the exit code of a failure.
fn say(what: &str, answer: Result<String, Failure>) -> Result<Option<Exit>, Failure> {
    let (line, failed) = match answer {
        Ok(answer) => (format!("# {what}: {answer}"), None),
        Err(failure) => (format!("# {what}: FAILED: {failure}"), Some(failure.exit)),
    };
    super::print(format!("{}\n", one_line(&line)).as_bytes())?;
    Ok(failed)
}
