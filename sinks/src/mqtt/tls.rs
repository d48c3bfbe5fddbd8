//! Encryption: certificates, and what is wrong with them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use thiserror::Error;

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::failure::ConnectionFailure;
use crate::tls::{AuthorityError, authorities};

/// Reason why the configured certificates cannot be used.
#[derive(Debug, Error)]
pub(super) enum CertificateFileError {
    /// No authority to trust.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file of the client's certificate cannot be read.
    #[error("{key}: {path}: {error}; the file must be readable by this user")]
    Unreadable { key: &'static str, path: PathBuf, error: io::Error },
    /// A file of the client's certificate holds something else.
    #[error("{key}: {path}: {error}; the file must hold the {what} as PEM")]
    NotPem { key: &'static str, path: PathBuf, error: pem::Error, what: &'static str },
    /// The private key belongs to another certificate.
    #[error("client_key: {key}: not the key to the certificate in `client_cert`, {certificate}")]
    NotItsKey { certificate: PathBuf, key: PathBuf },
    /// The client's certificate has an outdated format.
    #[error(
        "client_cert: {0}: a certificate of X.509 version 1; create it again as version 3, for \
         which `openssl x509 -req` needs an `-extfile`"
    )]
    Version1(PathBuf),
    /// The certificates cannot be used for some other reason.
    #[error("the certificates cannot be used: {0}")]
    Tls(#[from] Error),
}

/// Reads the certificates that `config` names. May block.
pub(super) fn client_config(
    config: &MqttConfig,
) -> Result<Arc<ClientConfig>, CertificateFileError> {
    let mut roots = RootCertStore::empty();
    // A system may hold certificates that this library does not read.
    roots.add_parsable_certificates(authorities(config.ca_file.as_deref())?);
    // Named here, so that nothing depends on what else in the process uses encryption.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&config.client_cert, &config.client_key) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let certificate_error = |error| pem_error("client_cert", certificate, "certificate", error);
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(certificate_error)?;
    if chain.is_empty() {
        return Err(certificate_error(pem::Error::NoItemsFound));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| pem_error("client_key", key, "private key", error))?;
    builder.with_client_auth_cert(chain, secret).map(Arc::new).map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            CertificateFileError::NotItsKey { certificate: certificate.clone(), key: key.clone() }
        }
        Error::InvalidCertificate(error) if is_version_1(&error) => {
            CertificateFileError::Version1(certificate.clone())
        }
        error => CertificateFileError::Tls(error),
    })
}

fn pem_error(
    key: &'static str,
    path: &Path,
    what: &'static str,
    error: pem::Error,
) -> CertificateFileError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(error) => CertificateFileError::Unreadable { key, path, error },
        error => CertificateFileError::NotPem { key, path, error, what },
    }
}

/// Explains a failed or broken encryption.
pub(super) fn failure(error: &Error, config: &MqttConfig, broker: &BrokerUrl) -> ConnectionFailure {
    match error {
        Error::InvalidCertificate(error) => {
            ConnectionFailure::permanent(certificate_failure(error, config, broker))
        }
        Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => ConnectionFailure::permanent(format!(
            "the broker at {broker} does not accept this client's certificate ({alert:?}); {}",
            if config.client_cert.is_some() {
                "`client_cert` must be signed by an authority that the broker trusts"
            } else {
                "set `client_cert` and `client_key`"
            }
        )),
        error => ConnectionFailure::transient(format!(
            "no encrypted connection to {broker}: {error}; is this the port for encrypted \
             connections?"
        )),
    }
}

fn certificate_failure(
    error: &CertificateError,
    config: &MqttConfig,
    broker: &BrokerUrl,
) -> String {
    let authority = if config.ca_file.is_some() {
        "`ca_file` must hold the authority that signed the certificate"
    } else {
        "name the authority that signed the certificate with `ca_file`"
    };
    let certificate = format!("the certificate of the broker at {broker}");
    match error {
        CertificateError::UnknownIssuer => {
            format!("{certificate} is not signed by a trusted authority; {authority}")
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!(
                "{certificate} names no host, and a common name alone is not enough; create it \
                 again with a subjectAltName"
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            format!(
                "{certificate} is for another name, {}; use that name in `url`",
                names.join(" or ")
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{certificate} has expired; renew it, or set this machine's clock right")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{certificate} is not valid yet; is this machine's clock right?")
        }
        error if is_version_1(error) => format!(
            "{certificate} is of X.509 version 1, and so names no host; create it again with a \
             subjectAltName"
        ),
        // Available as text only.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => format!(
            "{certificate} is that of an authority; create one for the broker that the authority \
             signs"
        ),
        error => format!("{certificate} cannot be used: {error}; {authority}"),
    }
}

/// Returns whether a certificate is refused for its outdated format, which `openssl x509 -req`
/// makes when no extensions are given.
fn is_version_1(error: &CertificateError) -> bool {
    // Available as text only.
    matches!(error, CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion")
}

/// Returns a name without its kind: `broker` for `DnsName("broker")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_matches(['"', ')'])
}
