//! A NATS server, or a cluster of them, and a connection to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::watch;

use crate::runner::SendError;
use crate::settings::{Period, Problem, Secret, check_pair, resolve};
use crate::tls::authorities;

/// Servers in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct NatsUrls(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "an address such as nats://host:4222, or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for NatsUrls {
    fn from(urls: OneOrMany) -> Self {
        match urls {
            OneOrMany::One(url) => Self(vec![url]),
            OneOrMany::Many(urls) => Self(urls),
        }
    }
}

impl Serialize for NatsUrls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [url] => url.serialize(serializer),
            urls => urls.serialize(serializer),
        }
    }
}

impl NatsUrls {
    /// The addresses. The text of an error never repeats one, which may hold a password.
    fn addresses(&self) -> Result<Vec<ServerAddr>, &'static str> {
        if self.0.is_empty() {
            return Err("name a server: nats://host:4222");
        }
        self.0.iter().map(|url| address(url)).collect()
    }
}

fn address(url: &str) -> Result<ServerAddr, &'static str> {
    if !url.starts_with("nats://") && !url.starts_with("tls://") {
        return Err("write nats://host:4222, or tls://host:4222 for an encrypted connection");
    }
    let address: ServerAddr = url.parse().map_err(|_| "not a URL; write nats://host:4222")?;
    let parts = address.clone().into_inner();
    if !parts.username().is_empty() || parts.password().is_some() {
        return Err("give the user as `username`, and the password as `password_file`");
    }
    if !matches!(parts.path(), "" | "/") || parts.query().is_some() || parts.fragment().is_some() {
        return Err("nothing follows the host and the port");
    }
    Ok(address)
}

/// Hosts and ports, without a scheme.
impl fmt::Display for NatsUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.0.iter().map(|url| {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            rest.rsplit_once('@').map_or(rest, |(_, host)| host).trim_end_matches('/')
        });
        f.write_str(&hosts.collect::<Vec<_>>().join(","))
    }
}

/// A server, and how to log in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsServer {
    /// Addresses.
    pub url: NatsUrls,
    /// Name of the user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Token, at a server without users.
    pub token: Option<Secret>,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
    /// File that holds the seed of a user's key pair.
    pub nkey_file: Option<PathBuf>,
    /// File that holds a user's JWT and seed.
    pub creds_file: Option<PathBuf>,
    /// Authority that signed the server's certificate; the system's where none is given.
    pub ca_file: Option<PathBuf>,
    /// Time that the server may take to answer.
    pub timeout: Period,
}

impl NatsServer {
    /// Problems of its values, by the keys that sink and source share.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, problem: &str| problems.push(Problem::new(key, problem));
        if let Err(problem) = self.url.addresses() {
            refuse("url", problem);
        }
        if self.timeout.is_zero() || self.timeout > Period::from_secs(600) {
            refuse("timeout", "take more than 0s, and 10m at most");
        }
        let password = self.password.is_some() || self.password_file.is_some();
        if password != self.username.is_some() {
            refuse("username", "a user name and a password belong together");
        }
        let token = self.token.is_some() || self.token_file.is_some();
        let ways = [password, token, self.nkey_file.is_some(), self.creds_file.is_some()];
        if ways.into_iter().filter(|given| *given).count() > 1 {
            refuse(
                "username",
                "give one way to log in: a password, a token, `nkey_file` or `creds_file`",
            );
        }
        for (key, given, file) in [
            ("password", &self.password, &self.password_file),
            ("token", &self.token, &self.token_file),
        ] {
            problems.extend(check_pair(key, given.as_ref(), file.as_deref()).err());
        }
        problems
    }

    /// Reads secrets from their files, and so may block.
    fn options(&self) -> Result<ConnectOptions, String> {
        let secret = |key: &str, given: &Option<Secret>, file: &Option<PathBuf>| {
            resolve(key, given.as_ref(), file.as_deref()).map_err(|error| error.to_string())
        };
        let mut options = ConnectOptions::new();
        let password = secret("password", &self.password, &self.password_file)?;
        if let (Some(name), Some(password)) = (&self.username, password) {
            options = options.user_and_password(name.clone(), password.expose().to_owned());
        }
        if let Some(token) = secret("token", &self.token, &self.token_file)? {
            options = options.token(token.expose().to_owned());
        }
        if let Some(seed) = secret("nkey", &None, &self.nkey_file)? {
            options = options.nkey(seed.expose().to_owned());
        }
        if let Some(creds) = secret("creds", &None, &self.creds_file)? {
            // async-nats needs a line break after the last line; reading a secret trims it.
            let creds = format!("{}\n", creds.expose());
            options = options.credentials(&creds).map_err(|error| {
                format!("creds_file: {error}; take a file that `nsc generate creds` wrote")
            })?;
        }
        if let Some(ca_file) = &self.ca_file {
            authorities(Some(ca_file)).map_err(|error| error.to_string())?;
            options = options.add_root_certificates(ca_file.clone()).require_tls(true);
        }
        Ok(options)
    }

    /// Connects, for requests whose answers come to `_INBOX.<inbox>.>`.
    ///
    /// # Errors
    /// [`SendError`] says what failed, where, and what to do.
    pub async fn connect(&self, inbox: &str) -> Result<NatsConnection, SendError> {
        let permanent = |why: &str| SendError::Permanent(format!("{}: {why}", self.url));
        let addresses = self.url.addresses().map_err(permanent)?;
        let server = self.clone();
        let options = tokio::task::spawn_blocking(move || server.options()).await;
        let options = options.unwrap_or_else(|died| Err(died.to_string()));
        let (refused, refusals) = watch::channel(None);
        let timeout = self.timeout.duration();
        let connected = options
            .map_err(|why| permanent(&why))?
            .name("energi-gateway")
            .custom_inbox_prefix(format!("_INBOX.{inbox}"))
            .connection_timeout(timeout)
            .request_timeout(Some(timeout))
            .ignore_discovered_servers()
            .retain_servers_order()
            // Each server is tried once: when to try again is the engine's business.
            .max_reconnects(addresses.len())
            .event_callback(move |event| {
                if let Event::ServerError(ServerError::Other(text)) = event {
                    refused.send_replace(Some(text));
                }
                std::future::ready(())
            })
            .connect(addresses)
            .await;
        let client = connected.map_err(|error| self.unreachable(&error))?;
        Ok(NatsConnection {
            server: self.url.to_string(),
            jetstream: ContextBuilder::new().timeout(timeout).build(client.clone()),
            client,
            refusals,
        })
    }

    fn unreachable(&self, error: &async_nats::ConnectError) -> SendError {
        let (server, said) = (&self.url, innermost(error));
        let permanent = |why: &str| SendError::Permanent(format!("{server}: {why} ({said})"));
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                permanent("it does not let this user in: look at the user and the password or key")
            }
            _ if said.contains("certificate") => {
                permanent("its certificate is not trusted; name its authority with `ca_file`")
            }
            ConnectErrorKind::Tls => permanent("no encrypted connection"),
            _ => SendError::transient(format!("{server}: cannot be reached ({said})")),
        }
    }
}

/// A connection to a server.
#[derive(Debug, Clone)]
pub struct NatsConnection {
    server: String,
    client: Client,
    /// Its `JetStream`.
    pub jetstream: jetstream::Context,
    /// Last refusal of the server, such as of a subject that the user may not use.
    refusals: watch::Receiver<Option<String>>,
}

impl NatsConnection {
    /// Returns whether the connection stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The server that answered, its version, and whether `JetStream` is on.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}: NATS {}", self.server, self.client.server_info().version)
    }

    /// Waits for a request that has no answer where the server refuses it: a refusal comes beside the
    /// answers.
    ///
    /// # Errors
    /// [`SendError::Permanent`] for a refusal, [`SendError::Transient`] where there is no `JetStream`.
    pub async fn unless_refused<T>(
        &self,
        request: impl Future<Output = T>,
    ) -> Result<T, SendError> {
        let server = &self.server;
        if !self.client.server_info().jetstream {
            return Err(SendError::Permanent(format!(
                "{server}: JetStream is not enabled; start it with `-js`, or with `jetstream {{}}` \
                 in its configuration"
            )));
        }
        let mut refusals = self.refusals.clone();
        tokio::select! {
            biased;
            answer = request => Ok(answer),
            Ok(refused) = refusals.wait_for(Option::is_some) => {
                let refused = refused.as_deref().unwrap_or_default();
                Err(SendError::Permanent(format!(
                    "{server}: this user may not do that ({refused}); docs/sinks/nats.md lists the \
                     permissions"
                )))
            }
        }
    }

    /// Explains an error of the server's `JetStream` to a request.
    #[must_use]
    pub fn refusal(&self, error: &jetstream::Error) -> SendError {
        let (server, said) = (&self.server, error.to_string());
        match error.error_code() {
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
                SendError::TooLarge(format!("{server}: {said}"))
            }
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                SendError::Permanent(format!("{server}: JetStream is not enabled ({said})"))
            }
            _ => SendError::transient(format!("{server}: {said}")),
        }
    }

    /// Address of the server, for messages.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Waits until what was sent is with the server.
    ///
    /// # Errors
    /// [`SendError::Transient`] where the connection broke.
    pub async fn flush(&self, limit: Duration) -> Result<(), SendError> {
        match tokio::time::timeout(limit, self.client.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(SendError::transient(format!("{}: the connection broke", self.server))),
        }
    }
}

/// Text of the innermost error, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
