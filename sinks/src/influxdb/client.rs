//! The influxdb2 crate, and all that has to be known about it.
//!
//! It is old: its HTTP/2 and TLS have known flaws, so HTTP/1.1 is all that it may speak; it keeps
//! response headers to itself, so a server's `Retry-After` is not seen; it panics on an address
//! that is none and drops the path of one that has one, so both are refused before; it compresses
//! points only, so ready lines are made to look like one.

use std::io;
use std::time::Duration;

use futures_util::stream;
use influxdb2::RequestError;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::WriteDataPoint;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use rustls_pki_types::CertificateDer;

use super::answer::Answer;
use super::config::{Config, fits_a_header};
use super::lines::Lines;
use crate::settings::resolve;
use crate::sink::SinkError;
use crate::tls::authorities;

/// How long a connection may lie idle. A server that closes one just as a batch sets out on it
/// costs that batch a second try: connections are kept only from batch to batch of a queue.
const IDLE: Duration = Duration::from_secs(3);

/// A server as points see it.
#[derive(Debug)]
pub(super) struct Client {
    inner: influxdb2::Client,
    bucket: String,
    /// Its address, for messages.
    address: String,
}

impl Client {
    /// A client of the configured server. It reads files, and so may block.
    ///
    /// # Errors
    /// [`SinkError::Broken`] where a file cannot be used.
    pub(super) fn new(config: &Config) -> Result<Self, SinkError> {
        let broken = |problem: &dyn std::fmt::Display| SinkError::Broken(problem.to_string());
        let address = config.address().map_err(|problem| broken(&problem))?;
        let token = resolve("token", config.token.as_ref(), config.token_file.as_deref())
            .map_err(|error| broken(&error))?;
        if token.as_ref().is_some_and(|token| !fits_a_header(token)) {
            return Err(broken(&"token_file: a token is one line of letters, digits and signs"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
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
            let authorities = authorities(config.ca_file.as_deref()).map_err(|e| broken(&e))?;
            http = usable(&authorities).into_iter().fold(http, ClientBuilder::add_root_certificate);
        }
        let token = token.as_ref().map_or("", |token| token.expose());
        let inner =
            influxdb2::ClientBuilder::with_builder(http, address.as_str(), &config.org, token)
                .gzip(true)
                .build()
                .map_err(|error| broken(&error))?;
        Ok(Self { inner, bucket: config.bucket.clone(), address: config.url.clone() })
    }

    /// The server's address.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends points.
    pub(super) async fn write(&self, lines: &Lines) -> Answer {
        let body = stream::iter([Ready(lines.clone())]);
        let precision = TimestampPrecision::Microseconds;
        let written = self.inner.write_with_precision(&self.bucket, body, precision).await;
        written.map_or_else(Answer::of, |()| Answer::Taken)
    }

    /// Tries the server without writing a point: it looks at the token, the organization and the
    /// bucket before it looks for points, and then misses them.
    pub(super) async fn probe(&self) -> Result<String, String> {
        let write = self.inner.write_line_protocol(&self.inner.org, &self.bucket, "");
        let Self { address, bucket, .. } = self;
        match write.await {
            Ok(()) => Ok(format!(
                "{address} answers; whether it knows the token and the bucket it does not tell"
            )),
            Err(RequestError::Http { status, text })
                if status == 400 && text.contains("writing requires points") =>
            {
                Ok(format!("{address}: the token may write to the bucket `{bucket}`"))
            }
            Err(error) => match Answer::of(error) {
                Answer::Taken => Ok(format!(
                    "{address} answers; whether it knows the token and the bucket it does not tell"
                )),
                Answer::TakenInPart(said)
                | Answer::Malformed(said)
                | Answer::TooLarge(said)
                | Answer::Refused(said)
                | Answer::Away(said) => Err(format!("{address}: {said}")),
            },
        }
    }
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

/// Lines that the crate takes for a point.
struct Ready(Lines);

impl WriteDataPoint for Ready {
    fn write_data_point_to<W: io::Write>(&self, mut writer: W) -> io::Result<()> {
        writer.write_all(self.0.text().as_bytes())
    }
}
