//! The command line.

#[cfg(feature = "sqlite")]
use std::io;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands;
use crate::platform::exit::Failure;
use crate::platform::logging::LogFormat;

/// Receives the measurements that myenergi devices send over the LAN, and passes them on.
///
/// The gateway only receives. It never sends a frame.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
#[command(after_help = "Examples:
  energi-gateway run -c config.example.yaml
  energi-gateway check
  energi-gateway decode examples/captures/eddi-day.pcapng.gz | head -3
  energi-gateway report daily --db energi.db")]
pub struct Cli {
    /// Format of log lines on standard error
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// The command to run
    #[command(subcommand)]
    pub command: Command,
}

/// Commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Run(commands::run::Args),
    /// Write a first configuration: receive frames, ask questions, test the broker
    Init(commands::init::Args),
    /// Validate the configuration; with --connect, also test its source and sinks
    Check(commands::check::Args),
    /// Convert the config.ini of mqtt-energi
    #[cfg(feature = "mqtt")]
    ImportConfig(commands::import_config::Args),
    /// Decode captures, payloads or hex text to JSON lines, tables or annotated bytes
    Decode(commands::decode::Args),
    /// Save the frames of the devices to a capture file
    Record(commands::record::Args),
    /// Print a Wireshark dissector in Lua
    Dissector(commands::dissector::Args),
    /// Report energy by day, week, month or year
    #[cfg(feature = "sqlite")]
    Report(commands::report::ReportArgs),
    /// Back up, shrink, export or send the history, or remove a device from it
    #[cfg(feature = "sqlite")]
    History(commands::history::HistoryArgs),
    /// Remove retained messages of the mqtt sinks from their brokers
    #[cfg(feature = "mqtt")]
    Mqtt(commands::mqtt::Args),
    /// Show the devices live in the terminal
    Watch(commands::watch::Args),
    /// Help to find the meaning of unknown records
    #[cfg(feature = "research")]
    Research(commands::research::Args),
    /// Find out why no device is received, and what to do
    Doctor(commands::doctor::Args),
    /// Ask the running gateway whether it works
    Health(commands::health::Args),
    /// Show or empty the queues of items that wait for a server
    #[cfg(feature = "queue")]
    Queue(commands::queue::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Print a manual page
    Man(commands::man::Args),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// The [`Failure`] that decides the exit code.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Run(args) => commands::run::run(&args),
            Self::Init(args) => commands::init::run(&args),
            Self::Check(args) => commands::check::run(&args),
            #[cfg(feature = "mqtt")]
            Self::ImportConfig(args) => commands::import_config::run(&args),
            Self::Decode(args) => commands::decode::run(&args),
            Self::Record(args) => commands::record::run(&args),
            Self::Dissector(args) => commands::dissector::run(&args),
            #[cfg(feature = "sqlite")]
            Self::Report(args) => commands::report::run(&args, &mut io::stdout().lock()),
            #[cfg(feature = "sqlite")]
            Self::History(args) => commands::history::run(&args, &mut io::stdout().lock()),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(args) => commands::mqtt::run(&args),
            Self::Watch(args) => commands::watch::run(&args),
            #[cfg(feature = "research")]
            Self::Research(args) => commands::research::run(&args),
            Self::Doctor(args) => commands::doctor::run(&args),
            Self::Health(args) => commands::health::run(&args),
            #[cfg(feature = "queue")]
            Self::Queue(args) => commands::queue::run(&args),
            Self::Completions(args) => commands::completions::run(&args, Cli::command()),
            Self::Man(args) => commands::man::run(&args, Cli::command()),
        }
    }
}
