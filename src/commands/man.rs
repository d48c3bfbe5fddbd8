//! `energi-gateway man`: the manual.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;

use crate::manual::{self, Page};
use crate::platform::exit::{Exit, Failure};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "To show a page, pass it to man. To install all pages, write them into a folder that man searches:
  energi-gateway man history backup | man -l -
  energi-gateway man --all ~/.local/share/man/man1"
)]
pub struct Args {
    /// The command that the page describes, such as `history backup` [default: the program]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    all: Option<PathBuf>,
}

/// Prints a page of the manual of `program`, or writes all.
///
/// # Errors
/// There is no such command, or the result cannot be written.
pub fn run(args: &Args, program: Command) -> Result<(), Failure> {
    let pages = manual::pages(program).map_err(|error| Failure::new(Exit::Io, error))?;
    if let Some(folder) = &args.all {
        return write(&pages, folder).map_err(|error| {
            let message = format!("{}: cannot write the manual: {error}", folder.display());
            Failure::message(Exit::Io, message)
        });
    }
    let program = pages.first().map(|page| page.name.clone()).unwrap_or_default();
    let name = args.command.iter().fold(program, |name, word| format!("{name}-{word}"));
    match pages.iter().find(|page| page.name == name) {
        Some(page) => super::print(&page.roff),
        None => Err(Failure::message(
            Exit::Usage,
            format_args!("there is no command `{}`; --help lists them", args.command.join(" ")),
        )),
    }
}

fn write(pages: &[Page], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pages.iter().try_for_each(|page| fs::write(folder.join(page.file_name()), &page.roff))
}
