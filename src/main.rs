//! The program: command line, logs, command, exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use energi_gateway::cli::Cli;
use energi_gateway::platform::exit::Exit;
use energi_gateway::platform::{logging, privileges};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed standard output leaves nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { code(Exit::Usage) } else { ExitCode::SUCCESS };
        }
    };
    logging::start(cli.log_format);
    privileges::never_gain();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Of damaged input everything readable was delivered: no more than a warning.
            if failure.exit == Exit::Data {
                tracing::warn!(target: logging::FAILURE, "{failure}");
            } else {
                tracing::error!(target: logging::FAILURE, "{failure}");
            }
            code(failure.exit)
        }
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}
