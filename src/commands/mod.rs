//! The commands, one file each: its arguments and what it does.

pub mod check;
pub mod completions;
#[cfg(feature = "sqlite")]
mod dates;
pub mod decode;
pub mod dissector;
pub mod doctor;
pub mod health;
#[cfg(feature = "sqlite")]
pub mod history;
#[cfg(feature = "mqtt")]
pub mod import_config;
pub mod init;
mod line;
#[cfg(feature = "sqlite")]
mod located;
pub mod man;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "queue")]
pub mod queue;
pub mod record;
#[cfg(feature = "sqlite")]
pub mod report;
#[cfg(feature = "research")]
pub mod research;
pub mod run;
pub mod watch;

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::de::value::{self, StrDeserializer};

use crate::config::{self, Config};
use crate::platform::exit::{Exit, Failure};
#[cfg(any(feature = "queue", feature = "mqtt", feature = "sqlite"))]
use crate::terminal::prompt;

/// The configuration at `path`, or else the first where one is looked for.
fn configuration(path: Option<&Path>) -> Result<Config, Failure> {
    let wrong = |errors| Failure::new(Exit::Config, errors);
    match path {
        Some(path) => config::load(path).map_err(wrong),
        None => config::load(&config::find().map_err(wrong)?).map_err(wrong),
    }
}

/// A duration, a size or another value on the command line, as the configuration takes it.
fn amount<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(StrDeserializer::<value::Error>::new(text)).map_err(|error| error.to_string())
}

/// Asks on a terminal whether to go on with what cannot be undone, unless `yes` says so. Without a
/// terminal, only `yes` is an answer.
#[cfg(any(feature = "queue", feature = "mqtt", feature = "sqlite"))]
fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !prompt::is_possible() {
        let text = "there is no terminal to ask on; --yes goes on without asking";
        return Err(Failure::message(Exit::Usage, text));
    }
    prompt::confirm(question).map_err(|error| Failure::new(Exit::Io, error))
}

/// Prints a result on standard output. A reader that has gone ends the program quietly.
fn print(result: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    quietly_closed(output.write_all(result).and_then(|()| output.flush()))
}

/// Takes a closed pipe for what it is: the reader has seen enough.
fn quietly_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::message(Exit::Io, format_args!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}
