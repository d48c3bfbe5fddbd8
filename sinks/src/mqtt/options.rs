//! How to connect, from what the configuration says and its files hold now.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{LastWill, MqttOptions, NetworkOptions, TlsConfiguration, Transport};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;

use super::config::MqttConfig;
use super::message::Message;
use crate::settings::{SecretError, resolve};
use crate::tls::{AuthorityError, authorities};

/// The largest packet that is sent. A discovery message takes 64 KiB where every experimental
/// decoder is on and topics are long; declared decoders add to it.
pub(super) const LARGEST_PACKET: usize = 1 << 20;

/// The largest packet that is heard: what others announce to Home Assistant may be long.
const LARGEST_HEARD: usize = 1 << 20;

/// How long a connection may take to stand, and a packet to be taken.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Why there is nothing to connect with.
#[derive(Debug, Error)]
pub(super) enum OptionsError {
    /// The password's file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is nobody to trust.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file of the client's own certificate cannot be read.
    #[error("{key}: {path}: {error}; the file must be readable by this user")]
    Unreadable { key: &'static str, path: PathBuf, error: io::Error },
    /// A file of the client's own certificate holds something else.
    #[error("{key}: {path}: {error}; the file must hold the {what} as PEM")]
    NotPem { key: &'static str, path: PathBuf, error: pem::Error, what: &'static str },
    /// The private key is another one's.
    #[error("client_key: {key}: not the key to the certificate in `client_cert`, {certificate}")]
    NotItsKey { certificate: PathBuf, key: PathBuf },
    /// The client's certificate is too old a kind.
    #[error(
        "client_cert: {0}: a certificate of X.509 version 1; make it anew as version 3, for which \
         `openssl x509 -req` wants an `-extfile`"
    )]
    Version1(PathBuf),
    /// The certificates cannot be used for some other reason.
    #[error("the certificates cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

/// A client id that no other connection has. 23 characters: a broker need not take more
/// (MQTT 3.1.1, 3.1.3.1).
pub(super) fn unique_client_id() -> String {
    // Keyed anew for each instance by the operating system.
    format!("energi-{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// How to connect, with `will` as the broker's last word on a connection that breaks.
///
/// It reads files, and so may block.
pub(super) fn options(
    config: &MqttConfig,
    client_id: &str,
    will: Option<Message>,
) -> Result<MqttOptions, OptionsError> {
    let mut options = MqttOptions::new(client_id, &config.url.host, config.url.port);
    options
        .set_keep_alive(config.keep_alive.duration())
        .set_max_packet_size(LARGEST_HEARD, LARGEST_PACKET);
    if let Some(username) = &config.username {
        let password = resolve("password", config.password.as_ref(), config.password_file())?;
        let password = password.as_ref().map_or("", |password| password.expose());
        options.set_credentials(username, password);
    }
    if let Some(Message { topic, payload, qos, retain }) = will {
        options.set_last_will(LastWill::new(topic, payload, qos.into(), retain));
    }
    if config.url.encrypted {
        let tls = TlsConfiguration::from(encryption(config)?);
        options.set_transport(Transport::tls_with_config(tls));
    }
    Ok(options)
}

/// What the connection's socket is held to.
pub(super) fn network() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(ANSWER_WITHIN.as_secs());
    // A value that waits for company is a value that is late.
    network.set_tcp_nodelay(true);
    network
}

fn encryption(config: &MqttConfig) -> Result<ClientConfig, OptionsError> {
    let mut roots = RootCertStore::empty();
    // Among a system's certificates there may be some that this library does not read.
    roots.add_parsable_certificates(authorities(config.ca_file.as_deref())?);
    // Named here, so that nothing depends on what else in the process uses encryption.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&config.client_cert, &config.client_key) else {
        return Ok(builder.with_no_client_auth());
    };
    let of_certificate = |error| of_pem("client_cert", certificate, "certificate", error);
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(of_certificate)?;
    if chain.is_empty() {
        return Err(of_certificate(pem::Error::NoItemsFound));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| of_pem("client_key", key, "private key", error))?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            OptionsError::NotItsKey { certificate: certificate.clone(), key: key.clone() }
        }
        rustls::Error::InvalidCertificate(error) if is_of_version_1(&error) => {
            OptionsError::Version1(certificate.clone())
        }
        error => OptionsError::Tls(error),
    })
}

/// Whether a certificate is refused for being older than what TLS works with. `openssl x509 -req`
/// makes such ones where nothing is said of extensions.
pub(super) fn is_of_version_1(error: &CertificateError) -> bool {
    // It comes as text only.
    matches!(error, CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion")
}

fn of_pem(key: &'static str, path: &Path, what: &'static str, error: pem::Error) -> OptionsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(error) => OptionsError::Unreadable { key, path, error },
        error => OptionsError::NotPem { key, path, error, what },
    }
}
