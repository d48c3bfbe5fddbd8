//! An authority that vouches for brokers and clients, made for one test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};

/// An authority, and the folder that holds what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its private key.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Makes one; its own certificate is in `folder`.
    pub fn new(folder: &Path) -> Self {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, folder.display().to_string());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        fs::create_dir_all(folder).unwrap();
        let authority = Self { issuer, folder: folder.to_owned() };
        fs::write(authority.certificate(), authority.issuer.pem()).unwrap();
        authority
    }

    /// The file with its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Vouches for a server with a host name or an address, or for a client without.
    pub fn vouch_for(&self, host: Option<&str>) -> Identity {
        self.sign(host.unwrap_or("client"), |parameters| match host {
            Some(host) => parameters.subject_alt_names = names(host),
            None => parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        })
    }

    /// Vouches for a server that only its common name names.
    pub fn vouch_for_common_name(&self, host: &str) -> Identity {
        self.sign("common", |parameters| {
            parameters.distinguished_name.push(DnType::CommonName, host);
        })
    }

    /// Vouched for a server, a long time ago.
    pub fn vouched_once_for(&self, host: &str) -> Identity {
        self.sign("old", |parameters| {
            parameters.subject_alt_names = names(host);
            parameters.not_before = date_time_ymd(2019, 1, 1);
            parameters.not_after = date_time_ymd(2020, 1, 1);
        })
    }

    /// Vouches for a server from some day to come on.
    pub fn will_vouch_for(&self, host: &str) -> Identity {
        self.sign("new", |parameters| {
            parameters.subject_alt_names = names(host);
            parameters.not_before = date_time_ymd(3000, 1, 1);
        })
    }

    /// Itself, in the place of a server.
    pub fn itself(&self) -> Identity {
        let key = self.folder.join("ca.key");
        fs::write(&key, self.issuer.key().serialize_pem()).unwrap();
        Identity { certificate: self.certificate(), key }
    }

    fn sign(&self, file: &str, says: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        says(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.join(format!("{file}.{end}"));
        let identity = Identity { certificate: path("crt"), key: path("key") };
        fs::write(&identity.certificate, certificate.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

fn names(host: &str) -> Vec<SanType> {
    CertificateParams::new([host.to_owned()]).unwrap().subject_alt_names
}
