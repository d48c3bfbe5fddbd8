//! `energi-gateway queue`: what waits on disk for servers that are away.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Subcommand;
use energi_sinks::outbox::{self, Plan, Status};

use crate::config::Config;
use crate::platform::exit::{Exit, Failure};
use crate::terminal::sanitize::one_line;

/// What `queue` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do with the queues
    #[command(subcommand)]
    action: Action,
}

/// What can be done with the queues of a configuration's sinks.
#[derive(Debug, Subcommand)]
enum Action {
    /// Say what waits, since when, and what no server took
    Status(Where),
    /// Throw away what waits and what no server took; the gateway must not be running
    Purge(Where),
}

/// Which queues are meant.
#[derive(Debug, clap::Args)]
struct Where {
    /// The configuration [default: as for `run`]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what is asked, for each sink that keeps a queue on disk.
///
/// # Errors
/// The configuration is wrong, or a queue cannot be used.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (Action::Status(Where { config }) | Action::Purge(Where { config })) = &args.action;
    let config = super::configuration(config.as_deref())?;
    let queues = queues(&config);
    let mut text = String::new();
    for (sink, plan) in &queues {
        let found =
            outbox::status(&plan.path).map_err(|error| Failure::message(Exit::Io, error))?;
        let line = match (&args.action, found) {
            (_, None) => format!("nothing waits; {} is yet to be made", plan.path.display()),
            (Action::Status(_), Some(status)) => describe(plan, &status),
            (Action::Purge(_), Some(status)) => purge(plan, &status)?,
        };
        // Writing to a text does not fail.
        let _infallible = writeln!(text, "{sink}: {}", one_line(&line));
    }
    if queues.is_empty() {
        text.push_str("no sink of this configuration keeps a queue on disk\n");
    }
    super::print(text.as_bytes())
}

fn queues(config: &Config) -> Vec<(&str, Plan)> {
    let queue = |plan: Option<Plan>, name| plan.map(|plan| (name, plan));
    let sinks = config.sinks.iter();
    sinks.filter_map(|sink| queue(sink.config.sink().outbox(), sink.name.as_str())).collect()
}

fn describe(plan: &Plan, status: &Status) -> String {
    let (items, file, most) = (plan.items, plan.path.display(), plan.max_bytes);
    let mut text = match status.oldest {
        None => format!("no {items} wait in {file}"),
        Some(oldest) => {
            let kib = status.used_bytes.div_ceil(1024);
            let waiting = status.waiting;
            format!("{waiting} {items} wait in {file}, since {oldest:.0} ({kib}KiB of {most})")
        }
    };
    if let Some(aside) = &status.last_aside {
        let count = status.set_aside;
        let (time, reason, item) = (aside.time, &aside.reason, &aside.item);
        let _infallible = write!(
            text,
            "; {count} {items} are set aside, the last at {time:.0} ({reason}): {item}"
        );
    }
    if let Some(holder) = &status.holder {
        let _infallible = write!(text, "; {holder} is at work on it");
    }
    text
}

fn purge(plan: &Plan, status: &Status) -> Result<String, Failure> {
    if let Some(holder) = &status.holder {
        return Err(Failure::message(
            Exit::Unavailable,
            format_args!("{}: {holder} is at work on it; stop that first", plan.path.display()),
        ));
    }
    let (waiting, aside) =
        outbox::purge(plan).map_err(|error| Failure::message(Exit::Io, error))?;
    let items = plan.items;
    Ok(format!("{waiting} {items} that waited are gone, and {aside} that were set aside"))
}
