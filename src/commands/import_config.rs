//! `energi-gateway import-config`: a configuration from the one of `mqtt-energi`.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::{self, ConfigErrors};
use crate::import;
use crate::platform::exit::{Exit, Failure};

/// Arguments of `import-config`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The configuration is printed on standard output, settings that are left out on standard error:
  energi-gateway import-config config.ini > config.yaml
  energi-gateway check -c config.yaml --connect

The password is part of the configuration, as in config.ini. With --password-file it is written into a \
separate file instead, which only you can read."
)]
pub struct Args {
    /// The config.ini of mqtt-energi, or - for standard input
    #[arg(value_name = "INI")]
    file: PathBuf,
    /// Write the password into this new file, and only the file's name into the configuration
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Prints the configuration.
///
/// # Errors
/// The file is missing or wrong, or the password's file cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let text = read(&args.file)?;
    let password_file = args.password_file.as_deref().map(absolute).transpose()?;
    let imported = import::import(&text, &args.file, password_file.as_deref())
        .map_err(|errors| Failure::new(Exit::Config, errors))?;
    let file = args.file.clone();
    if !imported.left_out.is_empty() {
        warn!("{}", ConfigErrors { file, faults: imported.left_out });
    }
    match (&imported.password, &args.password_file) {
        (Some(password), Some(path)) => config::write_secret(path, password).map_err(|error| {
            let what = match error.kind() {
                ErrorKind::AlreadyExists => "the file exists already; name another".to_owned(),
                _ => format!("cannot be written: {error}"),
            };
            Failure::message(Exit::Io, format_args!("--password-file {}: {what}", path.display()))
        })?,
        (None, Some(path)) => warn!("there is no password; {} is not written", path.display()),
        (_, None) => {}
    }
    super::print(imported.yaml.as_bytes())
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        fs::read(path).map(|content| bytes = content)
    };
    read.map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NoInput,
            ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Io,
        };
        Failure::message(exit, format_args!("{}: cannot be read: {error}", path.display()))
    })?;
    String::from_utf8(bytes).map_err(|_| {
        let message = "not UTF-8; save the file in that encoding";
        Failure::message(Exit::Config, format_args!("{}: {message}", path.display()))
    })
}

/// The path as the configuration has it, which may be read from another folder.
fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.ok().and_then(|path| path.into_os_string().into_string().ok());
    absolute.ok_or_else(|| {
        let message = "--password-file: not the name of a file, or one that is not UTF-8";
        Failure::message(Exit::Usage, message)
    })
}
