//! What is wrong with an encrypted connection.

use rumqttc::{ConnectionError, TlsError};
use rustls::{AlertDescription, CertificateError, Error};

use super::{ConnectionFailure, io_error};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::options::is_of_version_1;

/// What went wrong with the encryption, which the input and output on top of it pass on.
pub(super) fn cause(error: &ConnectionError) -> Option<&Error> {
    match error {
        ConnectionError::Tls(TlsError::TLS(error)) => Some(error),
        error => io_error(error)?.get_ref()?.downcast_ref(),
    }
}

pub(super) fn failure(error: &Error, config: &MqttConfig) -> ConnectionFailure {
    let broker = &config.url;
    match error {
        Error::InvalidCertificate(error) => {
            ConnectionFailure::lasting(of_certificate(error, config))
        }
        Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => ConnectionFailure::lasting(format!(
            "the broker at {broker} does not accept this client's certificate ({alert:?}); {}",
            if config.client_cert.is_some() {
                "`client_cert` must be signed by an authority that it trusts"
            } else {
                "set `client_cert` and `client_key`"
            }
        )),
        error => ConnectionFailure::passing(format!(
            "no encrypted connection to {broker}: {error}; is it the port for encrypted \
             connections?"
        )),
    }
}

fn of_certificate(error: &CertificateError, config: &MqttConfig) -> String {
    let broker = &config.url;
    let authority = if config.ca_file.is_some() {
        "`ca_file` must hold the authority that signed its certificate"
    } else {
        "name the authority that signed its certificate with `ca_file`"
    };
    let certificate = format!("the certificate of the broker at {broker}");
    match error {
        CertificateError::UnknownIssuer => {
            format!("nobody trusted vouches for the broker at {broker}; {authority}")
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!(
                "{certificate} names no host, and a common name alone is not enough; make it anew \
                 with a subjectAltName"
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
        error if is_of_version_1(error) => format!(
            "{certificate} is of X.509 version 1, and so names no host; make it anew with a \
             subjectAltName"
        ),
        // It comes as text only.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => format!(
            "{certificate} is that of an authority; make one for the broker that the authority \
             signs"
        ),
        error => format!("{certificate} is no good: {error}; {authority}"),
    }
}

/// A name without its kind: `broker` for `DnsName("broker")`, `::1` for `IpAddress(::1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_matches(['"', ')'])
}
