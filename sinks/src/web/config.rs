//! Configuration of a `web` sink.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::{Period, Problem, Secret, check_pair};

/// A page, an API and metrics on an address of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The file of a `sqlite` sink, for everything but the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<PathBuf>,
    /// Names of this machine that a browser may ask for. Addresses and `localhost` always work.
    pub hosts: Vec<String>,
    /// User name that the page asks for, with `password` or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Addresses of reverse proxies that authenticate users themselves: requests from them need no
    /// password, may use any host name, and may bring a base path.
    pub trusted_proxy: Vec<IpAddr>,
    /// Other origins whose scripts may read the API, such as `https://dash.example`.
    pub origins: Vec<String>,
    /// Largest number of clients that receive live values at the same time.
    pub max_clients: usize,
    /// A device that has been silent for this long is shown and measured no more.
    pub device_timeout: Period,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8088)),
            history: None,
            hosts: Vec::new(),
            username: None,
            password: None,
            password_file: None,
            trusted_proxy: Vec::new(),
            origins: Vec::new(),
            max_clients: 64,
            device_timeout: Period::from_secs(120),
        }
    }
}

impl WebConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        let has_password = self.password.is_some() || self.password_file.is_some();
        match &self.username {
            Some(name) if name.is_empty() || name.contains(':') => {
                refuse("username", "a user name has at least one character and no colon");
            }
            Some(_) if !has_password => refuse("username", "add `password_file` or `password`"),
            None if has_password => refuse("password", "add `username`"),
            _ => {}
        }
        if self.password.as_ref().is_some_and(|password| password.expose().is_empty()) {
            refuse("password", "an empty password protects nothing");
        }
        if !(1..=1_000).contains(&self.max_clients) {
            refuse("max_clients", "a number from 1 to 1000; 64 is enough for a home");
        }
        if self.device_timeout.is_zero() {
            refuse("device_timeout", "at least 1s; 2m is a good value");
        }
        for (index, host) in self.hosts.iter().enumerate() {
            if host.is_empty() || host.contains(['/', ':', ' ']) {
                let key = format!("hosts[{index}]");
                refuse(&key, "write only a name, such as energy.home, without scheme or port");
            }
        }
        for (index, origin) in self.origins.iter().enumerate() {
            let rest = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['/', '*', ' '])) {
                let key = format!("origins[{index}]");
                refuse(&key, "write scheme and host, such as https://dash.example");
            }
        }
        if let Err(problem) =
            check_pair("password", self.password.as_ref(), self.password_file.as_deref())
        {
            problems.push(problem);
        }
        problems
    }

    /// A warning where everybody on the network may look.
    pub(super) fn exposure(&self) -> Option<String> {
        let open = !self.listen.ip().is_loopback() && self.username.is_none();
        open.then(|| {
            format!(
                "everybody who reaches {} sees the page, because it has no password; set `username` \
                 and `password_file`, or listen on 127.0.0.1 behind a proxy",
                self.listen
            )
        })
    }
}
