//! The influxdb2 crate, and all that has to be known about it.
//!
//! It is old: its HTTP/2 and TLS have known flaws, so HTTP/1.1 is all that it may speak; it keeps
//! response headers to itself, so a server's `Retry-After` is not seen; it panics on an address
//! that is none and drops the path of one that has one, so both are refused before; it compresses
//! no ready lines, and points with memory of its own for each request, so they come to it
//! compressed; it knows no credentials but a token, so others go into the default headers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use energi_decoders::Reading;
use influxdb2::api::write::TimestampPrecision;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use rustls_pki_types::CertificateDer;

use super::config::{InfluxdbConfig, fits_a_header};
use super::line_protocol::LineEncoder;
use super::packer::Packer;
use super::response::{CredentialKind, RequestKind};
use crate::queue::Payload;
use crate::runner::{Encoder, Receipt, SendError};
use crate::settings::resolve;
use crate::sink::Context;
use crate::tls::authorities;

/// Longest time that a connection may lie idle. A server that closes one just as a batch sets out
/// on it costs that batch a second try: connections are kept only from batch to batch of a queue.
const IDLE: Duration = Duration::from_secs(3);

/// A server as points see it.
#[derive(Debug)]
pub struct InfluxdbClient {
    config: InfluxdbConfig,
    encoder: LineEncoder,
    request: RequestKind,
    /// Client, or the reason why it cannot be made, which a file may change.
    inner: RwLock<Result<influxdb2::Client, String>>,
    /// True if the server refused the last request: the files of the configuration may hold other
    /// secrets by the next one.
    stale: AtomicBool,
    packer: Mutex<Packer>,
}

impl InfluxdbClient {
    /// A client of the configured server. Where a file cannot be used it sends nothing until that
    /// has changed.
    pub(super) async fn new(config: InfluxdbConfig, context: &Context) -> Self {
        let inner = make(&config).await;
        let server = match config.proxy_address() {
            Some(proxy) => format!("{} (by way of the proxy {proxy})", config.url),
            None => config.url.clone(),
        };
        let has_token = config.token.is_some() || config.token_file.is_some();
        let credentials = match (&config.username, has_token) {
            (Some(_), _) => CredentialKind::Basic,
            (None, true) => CredentialKind::Token,
            (None, false) => CredentialKind::None,
        };
        Self {
            encoder: LineEncoder::new(context.site.as_deref(), &context.device_names),
            request: RequestKind { server, credentials, gzip: config.gzip },
            stale: AtomicBool::new(inner.is_err()),
            inner: RwLock::new(inner),
            packer: Mutex::default(),
            config,
        }
    }

    async fn write(&self, lines: &[u8], points: usize) -> Result<Receipt, SendError> {
        let client = match self.client().await {
            Ok(client) => client,
            Err(why) => return self.request.rejected(why),
        };
        let body = if self.config.gzip {
            let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
            packer.pack(lines)
        } else {
            Ok(lines.to_owned())
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                let why = format_args!("cannot compress the points: {error}");
                return self.request.unavailable(why);
            }
        };
        let InfluxdbConfig { org, bucket, .. } = &self.config;
        let precision = TimestampPrecision::Microseconds;
        let sent = client.write_line_protocol_with_precision(org, bucket, body, precision).await;
        let result = match sent {
            Ok(()) => Ok(Receipt::default()),
            Err(error) => self.request.result(error, points),
        };
        if let Err(SendError::Permanent(_)) = result {
            self.stale.store(true, Ordering::Relaxed);
        }
        result
    }

    /// The crate's client, made again where the server has refused the one that was.
    async fn client(&self) -> Result<influxdb2::Client, String> {
        if !self.stale.swap(false, Ordering::Relaxed) {
            return self.inner.read().unwrap_or_else(PoisonError::into_inner).clone();
        }
        let made = make(&self.config).await;
        self.stale.store(made.is_err(), Ordering::Relaxed);
        self.inner.write().unwrap_or_else(PoisonError::into_inner).clone_from(&made);
        made
    }
}

#[async_trait]
impl Encoder for InfluxdbClient {
    type Item = Reading;

    fn destination(&self) -> &str {
        &self.request.server
    }

    fn encode(&self, readings: &[Arc<Reading>]) -> Payload {
        let mut points = Payload::default();
        for reading in readings {
            self.encoder.reading(reading, &mut points);
        }
        points
    }

    async fn send(&self, payload: &Payload) -> Result<Receipt, SendError> {
        self.write(&payload.data, payload.items).await
    }

    /// `InfluxDB` 2 looks at the token, the organization and the bucket, in this order, before it
    /// looks for points and misses them; `VictoriaMetrics` has no objection to anything.
    async fn probe(&self) -> Result<String, SendError> {
        let InfluxdbConfig { org, bucket, .. } = &self.config;
        let (server, holder) = (&self.request.server, self.request.credentials.holder());
        match self.write(b"", 0).await {
            Ok(receipt) if receipt == Receipt::default() => Ok(format!(
                "{server} answers; it does not show whether {holder} may write to `{bucket}`"
            )),
            Err(SendError::Invalid(said)) if said.contains("points") => {
                Ok(format!("{server}: {holder} may write to `{bucket}` of `{org}`"))
            }
            Ok(Receipt { reason: said, .. })
            | Err(SendError::Invalid(said) | SendError::TooLarge(said)) => {
                self.request.rejected(said)
            }
            Err(refused) => Err(refused),
        }
    }
}

#[cfg(feature = "sqlite")]
impl crate::backfill::Backfill for InfluxdbClient {
    const LEFT_OUT: &'static str = "they have no value";

    fn encode_stored(&self, readings: &[crate::sqlite::StoredReading]) -> Payload {
        let mut points = Payload::default();
        for reading in readings {
            self.encoder.point(reading.serial, reading.time, reading.fields(), &mut points);
        }
        points
    }
}

/// Makes the crate's client, on a thread that may block: files are read.
async fn make(config: &InfluxdbConfig) -> Result<influxdb2::Client, String> {
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || build(&config)).await;
    made.unwrap_or_else(|error| Err(error.to_string()))
}

fn build(config: &InfluxdbConfig) -> Result<influxdb2::Client, String> {
    let address = config.address()?;
    let secret = |key, given: &Option<_>, file: &Option<std::path::PathBuf>| {
        resolve(key, given.as_ref(), file.as_deref()).map_err(|error| error.to_string())
    };
    let token = secret("token", &config.token, &config.token_file)?;
    if token.as_ref().is_some_and(|token| !fits_a_header(token)) {
        return Err("token_file: a token is one line of letters, digits and signs".to_owned());
    }
    let password = secret("password", &config.password, &config.password_file)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if config.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let (Some(username), Some(password)) = (&config.username, &password) {
        headers.insert(AUTHORIZATION, basic(username, password.expose())?);
    }
    let mut http = reqwest::Client::builder()
        .http1_only()
        .tls_built_in_root_certs(false)
        .redirect(Policy::none())
        .user_agent(concat!("energi-gateway/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .timeout(config.timeout.duration())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1);
    http = match config.proxy()? {
        None => http.no_proxy(),
        Some(proxy) => http.proxy(proxy),
    };
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

/// The header of HTTP's Basic scheme, marked as a secret.
fn basic(username: &str, password: &str) -> Result<HeaderValue, String> {
    let credentials = STANDARD.encode(format!("{username}:{password}"));
    let mut header =
        HeaderValue::try_from(format!("Basic {credentials}")).map_err(|error| error.to_string())?;
    header.set_sensitive(true);
    Ok(header)
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
