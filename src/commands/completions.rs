//! `energi-gateway completions`: a completion script for a shell.

use std::io;

use clap::Command;
use clap_complete::Shell;

use crate::platform::exit::{Exit, Failure};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete for
    shell: Shell,
}

/// Prints the script that completes the commands of `program`.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args, program: Command) -> Result<(), Failure> {
    let script = script(args.shell, program).map_err(|error| Failure::new(Exit::Io, error))?;
    super::print(script.as_bytes())
}

fn script(shell: Shell, mut command: Command) -> io::Result<String> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    Ok(match shell {
        Shell::Bash => of_one_name(&script, &name),
        _ => script,
    })
}

/// Gives bash's script one name: `clap_complete` (4.6) calls a program with a `-` in its name by
/// one name where it looks what is typed, and by another where it says what comes then, so that
/// nothing comes.
fn of_one_name(script: &str, program: &str) -> String {
    script.replace(&program.replace('-', "__subcmd__"), &program.replace('-', "__"))
}
