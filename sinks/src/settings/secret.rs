//! Secrets, given in place or in a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use super::Problem;

/// Byte order mark, which editors on Windows write before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Text that is shown instead of a secret.
const REDACTED: &str = "***";

/// A password or token. It shows itself as `***` to logs, errors and serializers.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for anyone who has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Reason why the file of a secret cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// Reading it failed.
    #[error(
        "{key}: {path}: {error}; the file must contain the secret and be readable by this user"
    )]
    Unreadable {
        /// The key that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The file contains only white space.
    #[error("{key}: {path}: the file is empty; write the secret into it")]
    Empty {
        /// The key that names the file.
        key: String,
        /// The file.
        path: PathBuf,
    },
}

/// Refuses a secret that is given both as `key` and as `key_file`.
///
/// # Errors
/// The [`Problem`], at `key_file`.
pub fn check_pair(key: &str, given: Option<&Secret>, file: Option<&Path>) -> Result<(), Problem> {
    if given.is_some() && file.is_some() {
        let problem = format!("`{key}` is given too; keep one of the two");
        return Err(Problem::new(format!("{key}_file"), problem));
    }
    Ok(())
}

/// The secret that was given in place, or else what its file holds now, without a byte order mark
/// and white space around it.
///
/// A sink asks when it opens rather than when the configuration is read, so that a secret that
/// was renewed, or that is mounted late, is found at the next attempt.
///
/// # Errors
/// [`SecretError`] names the file.
pub fn resolve(
    key: &str,
    given: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<Secret>, SecretError> {
    let (None, Some(path)) = (given, file) else {
        return Ok(given.cloned());
    };
    let (key, path) = (format!("{key}_file"), path.to_owned());
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim_start_matches(BYTE_ORDER_MARK).trim() {
            "" => Err(SecretError::Empty { key, path }),
            secret => Ok(Some(Secret(secret.to_owned()))),
        },
        Err(error) => Err(SecretError::Unreadable { key, path, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        let shown =
            format!("{secret} {secret:?} {}", serde_json::to_string(&Some(&secret)).unwrap());
        assert_eq!(shown, "*** *** \"***\"");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in ["  hunter2\n", "\u{feff}hunter2\r\n"] {
            std::fs::write(file.path(), content).unwrap();
            let secret = resolve("token", None, Some(file.path())).unwrap().unwrap();
            assert_eq!(secret.expose(), "hunter2");
        }
    }

    #[test]
    fn a_secret_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("absent");
        let error = resolve("token", None, Some(&missing)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("token_file: {}: ", missing.display())), "{error}");

        let empty = directory.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let error = resolve("token", None, Some(&empty)).unwrap_err().to_string();
        assert!(error.contains("empty"), "{error}");
    }

    #[test]
    fn the_error_of_a_secret_given_twice_hides_it() {
        let secret = Secret::from("hunter2".to_owned());
        let problem = check_pair("token", Some(&secret), Some(Path::new("t"))).unwrap_err();
        let said = problem.to_string();
        assert!(said.starts_with("token_file: ") && said.contains("`token`"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(check_pair("token", Some(&secret), None), Ok(()));
    }
}
