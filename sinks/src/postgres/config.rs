//! Configuration of a `postgres` sink.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use crate::settings::{Period, Problem, QueueConfig, Secret, check_pair, resolve};

/// A database of a `PostgreSQL` server, or of several that stand in for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// The database, such as `postgresql://gateway@db1,db2/energy`.
    pub url: String,
    /// The password of the role that `url` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The authority that signed the server's certificate, as PEM; the system's authorities where
    /// none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The SQLite history whose daily energy is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<PathBuf>,
    /// A batch goes out as soon as it holds so many readings.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// The longest that a reading is nowhere but in memory: what a power cut may cost.
    #[serde(default = "ten_seconds")]
    pub flush_interval: Period,
    /// Longest time that the server may take to answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Period,
    /// Queue of readings that the server has not confirmed.
    #[serde(default)]
    pub queue: QueueConfig,
}

const fn batch_size() -> usize {
    500
}

const fn ten_seconds() -> Period {
    Period::from_secs(10)
}

impl PostgresConfig {
    /// Returns what `url` says, without a password.
    fn settings(&self) -> Result<Config, String> {
        let form = "write it as postgresql://role@host/database";
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgresql" | "postgres")) {
            return Err(format!("it has to begin with postgresql://; {form}"));
        }
        let mut settings: Config =
            self.url.parse().map_err(|error| format!("not an address ({error}); {form}"))?;
        if settings.get_password().is_some() {
            return Err("a password would be shown here; use `password_file`".to_owned());
        }
        if settings.get_hosts().is_empty() || settings.get_dbname().is_none() {
            return Err(format!("it has to name a host and a database; {form}"));
        }
        if settings.get_user().is_none() {
            return Err(format!("it has to name a role; {form}"));
        }
        if self.ca_file.is_some() {
            settings.ssl_mode(SslMode::Require);
        }
        settings
            .application_name("energi-gateway")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(self.timeout.duration())
            .tcp_user_timeout(self.timeout.duration());
        Ok(settings)
    }

    /// All that is needed to connect. It reads a file, and so may block.
    pub(super) fn connection(&self) -> Result<Config, String> {
        let mut settings = self.settings()?;
        let (given, file) = (self.password.as_ref(), self.password_file.as_deref());
        if let Some(password) =
            resolve("password", given, file).map_err(|error| error.to_string())?
        {
            settings.password(password.expose());
        }
        Ok(settings)
    }

    /// The hosts and the database, for messages.
    pub(super) fn server(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        rest.split(['?', '#']).next().unwrap_or_default()
    }

    /// Number of hosts, each of which may take its time.
    pub(super) fn hosts(&self) -> u32 {
        let hosts = self.settings().map_or(1, |settings| settings.get_hosts().len());
        u32::try_from(hosts).unwrap_or(1).max(1)
    }

    /// Returns what is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        if let Err(problem) = self.settings() {
            refuse("url", &problem);
        }
        if self.flush_interval > Period::from_secs(3_600) {
            refuse("flush_interval", "at most 1h");
        }
        if self.timeout.is_zero() || self.timeout > Period::from_secs(600) {
            refuse("timeout", "more than 0s, and at most 10m");
        }
        problems.extend(self.queue.problems(self.batch_size));
        let (password, file) = (self.password.as_ref(), self.password_file.as_deref());
        problems.extend(check_pair("password", password, file).err());
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, more: &str) -> PostgresConfig {
        let mut config: PostgresConfig =
            serde_json::from_str(&format!(r#"{{"url": "{url}"{more}}}"#)).unwrap();
        config.queue.named("postgres");
        config
    }

    #[test]
    fn a_wrong_address_is_refused_with_a_right_one() {
        for (url, word) in [
            ("db1/energy", "postgresql://"),
            ("host=db1 user=x", "postgresql://"),
            ("mysql://gateway@db1/energy", "postgresql://"),
            ("postgresql://gateway:hunter2@db1/energy", "`password_file`"),
            ("postgresql://gateway@db1", "a database"),
            ("postgresql://db1/energy", "a role"),
        ] {
            let problem = config(url, "").problems()[0].to_string();
            assert!(problem.starts_with("url: ") && problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        let several = config("postgresql://gateway@db1,db2:5433/energy?sslmode=require", "");
        assert_eq!((several.problems(), several.hosts()), (Vec::new(), 2));
        assert_eq!(several.server(), "db1,db2:5433/energy");
    }

    #[test]
    fn values_that_make_no_sense_are_refused_at_their_key() {
        for (more, key) in [
            (r#", "password": "a", "password_file": "b""#, "password_file"),
            (r#", "batch_size": 0"#, "batch_size"),
            (r#", "flush_interval": "2h""#, "flush_interval"),
            (r#", "timeout": 0"#, "timeout"),
            (r#", "queue": {"max_bytes": 5}"#, "queue.max_bytes"),
        ] {
            let problems = config("postgresql://gateway@db1/energy", more).problems();
            let keys: Vec<_> = problems.into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, [key], "{more}");
        }
    }
}
