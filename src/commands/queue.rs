//! `energi-gateway queue`: what waits on disk for servers that are away.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Subcommand;
use energi_sinks::queue::{self, QueueStatus};
use energi_sinks::settings::QueueOptions;

use crate::config::Config;
use crate::platform::exit::{Exit, Failure};
use crate::terminal::sanitize::one_line;

/// Arguments of `queue`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operation on the queues
    #[command(subcommand)]
    action: Action,
}

/// Operations on the queues of a configuration's sinks.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show waiting items, how long they have waited, and dead letters
    Status(Where),
    /// Delete waiting items and dead letters; stop the gateway first
    Purge {
        #[command(flatten)]
        place: Where,
        /// Do not ask first
        #[arg(short, long)]
        yes: bool,
    },
}

/// Selection of queues.
#[derive(Debug, clap::Args)]
struct Where {
    /// The configuration [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command for each sink that keeps a queue on disk.
///
/// # Errors
/// The configuration is wrong, or a queue cannot be used.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (Action::Status(Where { config }) | Action::Purge { place: Where { config }, .. }) =
        &args.action;
    let config = super::configuration(config.as_deref())?;
    let queues = queues(&config);
    let mut text = String::new();
    for (sink, options) in &queues {
        let found =
            queue::status(&options.path).map_err(|error| Failure::message(Exit::Io, error))?;
        let line = match (&args.action, found) {
            (_, None) => format!("nothing waits; {} does not exist yet", options.path.display()),
            (Action::Status(_), Some(status)) => describe(options, &status),
            (Action::Purge { yes, .. }, Some(status)) => {
                let question = format!("{sink}: {}. Throw it away?", describe(options, &status));
                if super::confirmed(&one_line(&question), *yes)? {
                    purge(options, &status)?
                } else {
                    "nothing is changed".to_owned()
                }
            }
        };
        // Writing to a text does not fail.
        let _infallible = writeln!(text, "{sink}: {}", one_line(&line));
    }
    if queues.is_empty() {
        text.push_str("no sink of this configuration keeps a queue on disk\n");
    }
    super::print(text.as_bytes())
}

fn queues(config: &Config) -> Vec<(&str, QueueOptions)> {
    let queue = |options: Option<QueueOptions>, name| options.map(|options| (name, options));
    let sinks = config.sinks.iter();
    sinks.filter_map(|sink| queue(sink.config.sink().queue(), sink.name.as_str())).collect()
}

fn describe(options: &QueueOptions, status: &QueueStatus) -> String {
    let (items, file, most) = (options.items, options.path.display(), options.max_bytes);
    let mut text = match status.oldest {
        None => format!("no {items} wait in {file}"),
        Some(oldest) => {
            let kib = status.used_bytes.div_ceil(1024);
            let waiting = status.waiting;
            format!("{waiting} {items} wait in {file}, since {oldest:.0} ({kib}KiB of {most})")
        }
    };
    if let Some(last) = &status.last_dead_letter {
        let count = status.dead_letters;
        let (time, reason, item) = (last.time, &last.reason, &last.item);
        let _infallible = write!(
            text,
            "; {count} {items} are dead letters, the last of {time:.0} ({reason}): {item}"
        );
    }
    if let Some(holder) = &status.holder {
        let _infallible = write!(text, "; {holder} has it open");
    }
    text
}

fn purge(options: &QueueOptions, status: &QueueStatus) -> Result<String, Failure> {
    if let Some(holder) = &status.holder {
        return Err(Failure::message(
            Exit::Unavailable,
            format_args!("{}: {holder} has it open; stop that first", options.path.display()),
        ));
    }
    let (waiting, dead_letters) =
        queue::purge(options).map_err(|error| Failure::message(Exit::Io, error))?;
    let items = options.items;
    Ok(format!("{waiting} waiting {items} and {dead_letters} dead letters removed"))
}
