//! The influxdb2 crate, and all that has to be known about it.
//!
//! It is old: its HTTP/2 and TLS have known flaws, so HTTP/1.1 is all that it may speak; it keeps
//! response headers to itself, so a server's `Retry-After` is not seen; it panics on an address
//! that is none and drops the path of one that has one, so both are refused before; it compresses
//! no ready lines, and points with memory of its own for each request, so they come to it
//! compressed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use influxdb2::api::write::TimestampPrecision;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use rustls_pki_types::CertificateDer;

use super::answer::Answer;
use super::config::{Config, fits_a_header};
use super::lines::Lines;
use super::packer::Packer;
use crate::settings::resolve;
use crate::sink::SinkError;
use crate::tls::authorities;

/// How long a connection may lie idle. A server that closes one just as a batch sets out on it
/// costs that batch a second try: connections are kept only from batch to batch of a queue.
const IDLE: Duration = Duration::from_secs(3);

/// A server as points see it.
#[derive(Debug)]
pub(super) struct Client {
    config: Config,
    /// Made anew when the server refuses the token: a file may hold another one by then. Or why it
    /// cannot be made, which a file may mend too.
    inner: RwLock<Result<influxdb2::Client, String>>,
    packer: Mutex<Packer>,
    /// Whether the server has ever taken points.
    takes: AtomicBool,
    /// Whether it has ever asked for points, as InfluxDB 2 does where it gets none.
    asks: AtomicBool,
}

impl Client {
    /// A client of the configured server. Where a file cannot be used it sends nothing until
    /// [`Self::renew`] finds that mended.
    pub(super) async fn new(config: Config) -> Self {
        let inner = RwLock::new(made(&config).await);
        Self {
            config,
            inner,
            packer: Mutex::default(),
            takes: AtomicBool::new(false),
            asks: AtomicBool::new(false),
        }
    }

    /// Whether it can send anything.
    ///
    /// # Errors
    /// [`SinkError::Permanent`] where a file cannot be used.
    pub(super) fn ready(&self) -> Result<(), SinkError> {
        self.now().map(|_| ()).map_err(SinkError::permanent)
    }

    /// Reads the files of the configuration again.
    ///
    /// # Errors
    /// [`SinkError::Permanent`] where a file cannot be used; the client goes on as it was.
    pub(super) async fn renew(&self) -> Result<(), SinkError> {
        let renewed = made(&self.config).await;
        let error = renewed.as_ref().err().cloned();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_ok() || inner.is_err() {
            *inner = renewed;
        }
        error.map_or(Ok(()), |why| Err(SinkError::permanent(why)))
    }

    /// The server's address.
    pub(super) fn address(&self) -> &str {
        &self.config.url
    }

    /// Sends points.
    pub(super) async fn write(&self, lines: &Lines) -> Answer {
        let client = match self.now() {
            Ok(client) => client,
            Err(why) => return Answer::Refused(why),
        };
        let answer = self.send(&client, lines.text()).await;
        if let Answer::Taken | Answer::TakenInPart { .. } = answer {
            self.takes.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Whether the server has ever taken points.
    pub(super) fn takes_points(&self) -> bool {
        self.takes.load(Ordering::Relaxed)
    }

    /// Whether it is known to look at points: no proxy, say, or one that expects encryption.
    pub(super) fn reads_points(&self) -> bool {
        self.takes_points() || self.asks.load(Ordering::Relaxed)
    }

    /// Tries the server without writing a point. InfluxDB 2 looks at the token, the organization
    /// and the bucket, in this order, before it looks for points and misses them; `VictoriaMetrics`
    /// has no objection to anything.
    ///
    /// # Errors
    /// What is wrong, with the server's words.
    pub(super) async fn probe(&self) -> Result<String, String> {
        let Config { url, org, bucket, .. } = &self.config;
        let client = self.now().map_err(|why| format!("{url}: {why}"))?;
        match self.send(&client, "").await {
            Answer::Taken => Ok(format!(
                "{url} answers; whether the token and the bucket are right it does not tell"
            )),
            Answer::Malformed(said) if said.contains("points") => {
                self.asks.store(true, Ordering::Relaxed);
                Ok(format!("{url}: the token may write to `{bucket}` of `{org}`"))
            }
            Answer::Malformed(said)
            | Answer::TakenInPart { said, .. }
            | Answer::TooLarge(said)
            | Answer::Refused(said)
            | Answer::Away(said) => Err(format!("{url}: {said}")),
        }
    }

    async fn send(&self, client: &influxdb2::Client, text: &str) -> Answer {
        let Config { org, bucket, .. } = &self.config;
        let body = {
            let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
            packer.pack(text.as_bytes())
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return Answer::Away(format!("cannot compress the points: {error}")),
        };
        let precision = TimestampPrecision::Microseconds;
        let sent = client.write_line_protocol_with_precision(org, bucket, body, precision).await;
        sent.map_or_else(Answer::of, |()| Answer::Taken)
    }

    fn now(&self) -> Result<influxdb2::Client, String> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes the crate's client, on a thread that may block: it reads files.
async fn made(config: &Config) -> Result<influxdb2::Client, String> {
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || make(&config)).await;
    made.unwrap_or_else(|error| Err(error.to_string()))
}

fn make(config: &Config) -> Result<influxdb2::Client, String> {
    let address = config.address()?;
    let token = resolve("token", config.token.as_ref(), config.token_file.as_deref())
        .map_err(|error| error.to_string())?;
    if token.as_ref().is_some_and(|token| !fits_a_header(token)) {
        return Err("token_file: a token is one line of letters, digits and signs".to_owned());
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut http = reqwest::Client::builder()
        .http1_only()
        .tls_built_in_root_certs(false)
        .redirect(Policy::none())
        .user_agent(concat!("energi-gateway/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .timeout(config.timeout.duration())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1);
    if address.scheme() == "https" {
        let authorities =
            authorities(config.ca_file.as_deref()).map_err(|error| error.to_string())?;
        http = usable(&authorities).into_iter().fold(http, ClientBuilder::add_root_certificate);
    }
    let token = token.as_ref().map_or("", |token| token.expose());
    influxdb2::ClientBuilder::with_builder(http, address.as_str(), &config.org, token)
        .build()
        .map_err(|error| error.to_string())
}

/// The authorities that the HTTP client can read. It would give up on all of them for one that it
/// cannot, and a system has its share of odd ones.
fn usable(authorities: &[CertificateDer<'_>]) -> Vec<Certificate> {
    let read = |one: &CertificateDer<'_>| Certificate::from_der(one).ok();
    let all: Vec<_> = authorities.iter().filter_map(read).collect();
    let fits = |some: &[Certificate]| {
        let builder = reqwest::Client::builder().tls_built_in_root_certs(false);
        some.iter().cloned().fold(builder, ClientBuilder::add_root_certificate).build().is_ok()
    };
    if fits(&all) {
        return all;
    }
    all.into_iter().filter(|one| fits(std::slice::from_ref(one))).collect()
}
