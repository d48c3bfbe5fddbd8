//! Configuration of an `influxdb` sink.

use std::path::PathBuf;

use energi_decoders::scalar;
use reqwest::{NoProxy, Proxy, Url};
use serde::{Deserialize, Deserializer, Serialize};

use crate::settings::{Period, Problem, QueueConfig, Secret, check_pair};

/// A bucket of an InfluxDB 2 server, or of another that takes its write API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfluxdbConfig {
    /// The server, such as `http://host:8086`.
    pub url: String,
    /// The organization that owns the bucket.
    pub org: String,
    /// Bucket for the points.
    pub bucket: String,
    /// Token with write access. A server without accounts needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The file that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// User name, for a server that asks for a name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password that belongs to the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The authority that signed the server's certificate, as PEM; the system's authorities where
    /// none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way to the server: its address, or `true` for the one that the environment
    /// names.
    #[serde(default)]
    pub proxy: ProxyConfig,
    /// True if points are compressed.
    #[serde(default = "yes")]
    pub gzip: bool,
    /// A batch goes out as soon as it holds so many points.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// The longest that a point is nowhere but in memory: what a power cut may cost.
    #[serde(default = "ten_seconds")]
    pub flush_interval: Period,
    /// Longest time that the server may take to answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Period,
    /// Queue of points that the server has not confirmed.
    #[serde(default)]
    pub queue: QueueConfig,
}

/// A proxy: none, the environment's, or the one at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ProxyConfig {
    /// `true`: what `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, but for hosts in `NO_PROXY`.
    Environment(bool),
    /// The proxy at this address.
    Address(String),
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self::Environment(false)
    }
}

impl<'de> Deserialize<'de> for ProxyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error names both forms, which serde's for untagged enums does not.
        let expecting = "true, false or the address of a proxy such as http://proxy:3128";
        scalar::read(deserializer, expecting, |text| {
            let environment = text.parse().map(Self::Environment);
            Some(environment.unwrap_or_else(|_| Self::Address(text.to_owned())))
        })
    }
}

const fn yes() -> bool {
    true
}

const fn batch_size() -> usize {
    500
}

const fn ten_seconds() -> Period {
    Period::from_secs(10)
}

impl InfluxdbConfig {
    /// The server's address, which [`Self::problems`] has found nothing wrong with.
    pub(super) fn address(&self) -> Result<Url, String> {
        let form = "write it as http://host:8086";
        let url = Url::parse(&self.url).map_err(|error| format!("not a URL: {error}; {form}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("the scheme http:// or https:// is missing; {form}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a user name or password does not belong here; use `token`, or `username` and \
                        `password`"
                    .to_owned(),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("remove `?` or `#` and what follows; {form}"));
        }
        if url.path() != "/" {
            return Err(format!(
                "a path (`{}`) does not reach the server: points go to /api/v2/write of the host \
                 itself; give the server a host name or port of its own",
                url.path()
            ));
        }
        Ok(url)
    }

    /// Returns what is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        match self.address() {
            Err(problem) => refuse("url", &problem),
            Ok(url) if url.scheme() == "http" && self.ca_file.is_some() => {
                refuse("ca_file", "a connection to http:// is not encrypted; write https://");
            }
            Ok(_) => {}
        }
        for (key, name) in [("org", &self.org), ("bucket", &self.bucket)] {
            if name.trim().is_empty() {
                refuse(key, "give a name; a server that needs none accepts any");
            }
        }
        if self.token.as_ref().is_some_and(|token| !fits_a_header(token)) {
            refuse("token", "a token is one line of letters, digits and signs");
        }
        if self.flush_interval > Period::from_secs(3_600) {
            refuse("flush_interval", "at most 1h");
        }
        if self.timeout.is_zero() || self.timeout > Period::from_secs(600) {
            refuse("timeout", "more than 0s, and at most 10m");
        }
        if let Err(problem) = self.proxy() {
            refuse("proxy", &problem);
        }
        let has_token = self.token.is_some() || self.token_file.is_some();
        let has_password = self.password.is_some() || self.password_file.is_some();
        match (&self.username, has_password) {
            (Some(_), _) if has_token => {
                refuse("username", "`token` is given too; keep one of the two");
            }
            (Some(name), _) if name.contains(':') || name.contains(char::is_control) => {
                refuse("username", "a name has no colon and no control characters");
            }
            (Some(_), false) => refuse("username", "also give `password` or `password_file`"),
            (None, true) => refuse("password", "also give `username`"),
            _ => {}
        }
        problems.extend(self.queue.problems(self.batch_size));
        let (password, file) = (self.password.as_ref(), self.password_file.as_deref());
        problems.extend(check_pair("password", password, file).err());
        problems.extend(check_pair("token", self.token.as_ref(), self.token_file.as_deref()).err());
        problems
    }

    /// The proxy on the way to the server.
    pub(super) fn proxy(&self) -> Result<Option<Proxy>, String> {
        let (address, environment) = match &self.proxy {
            ProxyConfig::Environment(false) => return Ok(None),
            ProxyConfig::Environment(true) => {
                let address = self.environment_proxy().ok_or(
                    "the environment names no proxy; set HTTPS_PROXY, or give the address here",
                )?;
                (address, true)
            }
            ProxyConfig::Address(address) => (address.clone(), false),
        };
        let form = "write it as http://proxy:3128";
        let url =
            Url::parse(&address).map_err(|error| format!("not an address: {error}; {form}"))?;
        if !environment && (!url.username().is_empty() || url.password().is_some()) {
            return Err("a user name or password would be shown; use `true` and HTTPS_PROXY".into());
        }
        let proxy = Proxy::all(url).map_err(|_| format!("not the address of a proxy; {form}"))?;
        let exceptions = environment.then(NoProxy::from_env).flatten();
        Ok(Some(proxy.no_proxy(exceptions)))
    }

    /// The proxy's address without its password, for messages.
    pub(super) fn proxy_address(&self) -> Option<String> {
        let address = match &self.proxy {
            ProxyConfig::Environment(false) => None,
            ProxyConfig::Environment(true) => self.environment_proxy(),
            ProxyConfig::Address(address) => Some(address.clone()),
        };
        let url = Url::parse(&address?).ok()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
    }

    fn environment_proxy(&self) -> Option<String> {
        let first = if self.url.starts_with("https") { "https_proxy" } else { "http_proxy" };
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        [first, "all_proxy"]
            .iter()
            .find_map(|name| value(name).or_else(|| value(&name.to_uppercase())))
    }
}

/// Returns whether a secret can be sent in a header.
pub(super) fn fits_a_header(secret: &Secret) -> bool {
    !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> InfluxdbConfig {
        let minimal = r#"{"url": "http://host:8086", "org": "home", "bucket": "energy""#;
        serde_json::from_str(&format!("{minimal}{more}}}")).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_documents() {
        let mut config = config("");
        config.queue.named("attic");
        assert_eq!((config.batch_size, config.problems()), (500, Vec::new()));
        assert_eq!(config.flush_interval.to_string(), "10s");
        assert_eq!(config.queue.max_bytes.to_string(), "256MiB");
        assert_eq!(config.queue.path, PathBuf::from("attic.queue.db"));
    }

    #[test]
    fn a_wrong_address_is_refused_with_a_right_one() {
        for (url, word) in [
            ("host:8086", "http"),
            ("/3242/23", "not a URL"),
            ("ftp://host", "scheme"),
            ("http://", "not a URL"),
            ("http://u:hunter2@host", "use `token`"),
            ("http://host/influx", "`/influx`"),
            ("http://host/?x=1", "`?`"),
        ] {
            let mut config = config("");
            config.queue.named("influxdb");
            config.url = url.to_owned();
            let problem = config.problems()[0].to_string();
            assert!(problem.starts_with("url: ") && problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        for url in ["http://host", "https://host:8086/", "http://[::1]:8086", "http://10.0.0.1"] {
            let mut config = config("");
            config.url = url.to_owned();
            assert_eq!(config.address().map(|url| url.path().to_owned()), Ok("/".to_owned()));
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused_at_their_key() {
        for (more, key) in [
            (r#", "token": "a", "token_file": "b""#, "token_file"),
            (r#", "token": "a\nb""#, "token"),
            (r#", "username": "a""#, "username"),
            (r#", "username": "a", "password": "b", "token": "c""#, "username"),
            (r#", "username": "a:b", "password": "c""#, "username"),
            (r#", "username": "a", "password": "b", "password_file": "c""#, "password_file"),
            (r#", "password": "b""#, "password"),
            (r#", "proxy": "proxy""#, "proxy"),
            (r#", "proxy": "http://me:hunter2@proxy:3128""#, "proxy"),
            (r#", "ca_file": "ca.pem""#, "ca_file"),
            (r#", "batch_size": 0"#, "batch_size"),
            (r#", "batch_size": 10001"#, "batch_size"),
            (r#", "flush_interval": "2h""#, "flush_interval"),
            (r#", "timeout": 0"#, "timeout"),
            (r#", "queue": {"max_bytes": 5}"#, "queue.max_bytes"),
            (r#", "batch_size": 9001, "queue": {"max_bytes": "9MiB"}"#, "queue.max_bytes"),
        ] {
            let mut config = config(more);
            config.queue.named("influxdb");
            let keys: Vec<_> = config.problems().into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, [key], "{more}");
        }
    }
}
