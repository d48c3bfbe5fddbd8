//! `energi-gateway check`: the configuration, validated, and perhaps tried.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::gateway;
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::{self, Rights};
use crate::platform::runtime;
use crate::terminal::sanitize::one_line;

/// Longest time that a sink may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also test the capture source and each sink
    #[arg(long)]
    connect: bool,
    /// Print the whole configuration instead, with all defaults, and secrets as ***
    #[arg(long, conflicts_with = "connect")]
    print: bool,
}

/// Prints a verdict, and a line for each part of the configuration.
///
/// # Errors
/// The configuration is wrong, or something did not answer.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = super::configuration(args.config.as_deref())?;
    if args.print {
        let text = config.to_yaml().map_err(|error| Failure::new(Exit::Config, error))?;
        return super::print(text.as_bytes());
    }
    super::print(verdict(&config).as_bytes())?;
    for warning in &config.warnings {
        say("warning", &Ok(warning.clone()))?;
    }
    for sink in &config.sinks {
        for warning in sink.config.sink().warnings() {
            say("warning", &Ok(format!("sink {}: {warning}", sink.name)))?;
        }
    }
    if args.connect { connect(&config) } else { describe(&config) }
}

/// The file, that it is valid, and what holds for all of it.
fn verdict(config: &Config) -> String {
    let count = config.sinks.len();
    let plural = if count == 1 { "" } else { "s" };
    let file = config.file.display().to_string();
    let zone = config
        .timezone
        .iana_name()
        .map_or_else(|| "as the system has it, without a name".to_owned(), str::to_owned);
    let mut text = format!("{}: ok, {count} sink{plural}\n", one_line(&file));
    let _infallible = writeln!(text, "timezone: {zone}");
    text
}

/// Prints what each part is, untried.
fn describe(config: &Config) -> Result<(), Failure> {
    say("capture", &Ok(config.capture.to_string()))?;
    for sink in &config.sinks {
        let kind = sink.config.type_name();
        let what =
            if sink.name == kind { "sink".to_owned() } else { format!("sink {}", sink.name) };
        say(&what, &Ok(kind.to_owned()))?;
    }
    Ok(())
}

/// Tries the capture source and every sink, and prints a line on each as it answers.
fn connect(config: &Config) -> Result<(), Failure> {
    let runtime = runtime::create()?;
    let mut failed = try_out("capture", gateway::probe(&config.capture))?;
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
        failed = failed.or(try_out(&format!("sink {}", sink.name), answer)?);
    }
    // A probe that still blocks must not hold up the end.
    runtime.shutdown_background();
    match failed {
        Some(exit) => {
            Err(Failure::message(exit, "not everything works: see the lines with FAILED"))
        }
        None => Ok(()),
    }
}

/// Prints an answer with its verdict, and returns the exit code of a failure.
fn try_out(what: &str, answer: Result<String, Failure>) -> Result<Option<Exit>, Failure> {
    let failed = answer.as_ref().err().map(|failure| failure.exit);
    say(what, &answer.map(|answer| format!("ok, {answer}")))?;
    Ok(failed)
}

fn say(what: &str, answer: &Result<String, Failure>) -> Result<(), Failure> {
    let line = match answer {
        Ok(answer) => format!("{what}: {answer}"),
        Err(failure) => format!("{what}: FAILED: {failure}"),
    };
    super::print(format!("{}\n", one_line(&line)).as_bytes())
}
