//! Parts of a configuration that commands write.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use energi_sinks::settings::Secret;
use serde_yaml::Value;

use super::escape;

/// A text without line breaks as a configuration has it, in quotes where it would be read as another
/// thing.
#[must_use]
pub fn scalar(text: &str) -> String {
    let value = Value::String(escape(text));
    let quoted = serde_yaml::to_string(&value);
    quoted.unwrap_or_default().trim_end_matches('\n').to_owned()
}

/// Writes a secret where nothing is yet, for its owner alone.
///
/// # Errors
/// There is a file already, or it cannot be written.
pub fn write_secret(path: &Path, secret: &Secret) -> io::Result<()> {
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    new.and_then(|mut file| writeln!(file, "{}", secret.expose()))
}
