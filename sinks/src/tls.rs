//! Authorities that encrypted connections trust.

use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use thiserror::Error;

/// Reason why there is nobody to trust.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The file cannot be read.
    #[error("ca_file: {path}: {error}; the file must be readable by this user")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The file holds no certificate.
    #[error(
        "ca_file: {path}: no certificate in it; it must contain the authority's certificate as PEM \
         (`-----BEGIN CERTIFICATE-----`)"
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file begins like a certificate, and does not go on like one.
    #[error("ca_file: {path}: damaged PEM: {error}; copy the authority's certificate again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Problem with the file.
        error: pem::Error,
    },
    /// The system has no certificates of authorities.
    #[error(
        "this system trusts no certificate authority; install the package ca-certificates, or \
         name the server's authority with `ca_file`{}",
        said(.errors)
    )]
    NoSystemRoots {
        /// Errors during the search.
        errors: Vec<rustls_native_certs::Error>,
    },
}

fn said(errors: &[rustls_native_certs::Error]) -> String {
    errors.iter().flat_map(|error| ["; ".to_owned(), error.to_string()]).collect()
}

/// The certificates of the authorities to trust: those in `ca_file`, or else the system's.
///
/// It reads files, and so may block.
///
/// # Errors
/// [`AuthorityError`] says which file, and what to do.
pub fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let Some(path) = ca_file else {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(AuthorityError::NoSystemRoots { errors: found.errors });
        }
        return Ok(found.certs);
    };
    let path = || path.to_owned();
    let pem = std::fs::read(path())
        .map_err(|error| AuthorityError::Unreadable { path: path(), error })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| AuthorityError::Damaged { path: path(), error })?;
    if certificates.is_empty() {
        return Err(AuthorityError::NoCertificate { path: path() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: Option<&str>) -> (PathBuf, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = authorities(Some(&path)).unwrap_err().to_string();
        (path, error)
    }

    #[test]
    fn a_file_without_an_authority_is_named() {
        for (content, expected) in [
            (None, "No such file"),
            (Some(""), "no certificate in it"),
            (Some("hello\n"), "no certificate in it"),
            (Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), "damaged PEM"),
        ] {
            let (path, error) = of(content);
            assert!(error.starts_with(&format!("ca_file: {}: ", path.display())), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
