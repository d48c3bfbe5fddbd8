//! Where the broker is.

use std::fmt;
use std::net::IpAddr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use url::{Host, Url};

/// The address of a broker: `mqtt://host`, or `mqtts://host` for an encrypted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    text: String,
    /// A name or an address, an IPv6 address without its brackets.
    pub host: String,
    /// The port; 1883 or, encrypted, 8883 where the URL has none.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
}

/// Why a text is no address of a broker. It never repeats the text, which may have a password in
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BrokerUrlError {
    /// It is no URL.
    #[error("not a URL: {0}; write mqtt://host:1883 or mqtts://host:8883")]
    Url(#[from] url::ParseError),
    /// Another protocol.
    #[error("write mqtt://host:1883, or mqtts://host:8883 for an encrypted connection")]
    Scheme,
    /// No host.
    #[error("a host is missing: mqtt://host:1883")]
    Host,
    /// A user in the URL.
    #[error("give the user as `username`, and the password as `password` or `password_file`")]
    Credentials,
    /// Something after host and port.
    #[error("nothing follows the host and the port; the topic has a key of its own, `topic`")]
    Path,
}

impl BrokerUrl {
    /// Whether the host is a name, which somebody has to look up, rather than an address.
    pub(super) fn is_named(&self) -> bool {
        self.host.parse::<IpAddr>().is_err()
    }

    fn parse(text: &str) -> Result<Self, BrokerUrlError> {
        let url = Url::parse(text)?;
        let (encrypted, usual_port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(BrokerUrlError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BrokerUrlError::Credentials);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(BrokerUrlError::Path);
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        if host.is_empty() {
            return Err(BrokerUrlError::Host);
        }
        let port = url.port().unwrap_or(usual_port);
        Ok(Self { text: text.to_owned(), host, port, encrypted })
    }
}

/// Host and port.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for BrokerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BrokerUrlVisitor)
    }
}

struct BrokerUrlVisitor;

impl Visitor<'_> for BrokerUrlVisitor {
    type Value = BrokerUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of a broker, such as mqtt://host:1883")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BrokerUrl, E> {
        BrokerUrl::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_host_port_and_whether_to_encrypt() {
        let read = |text| {
            let broker = BrokerUrl::parse(text).unwrap();
            let named = broker.is_named();
            (broker.host.clone(), named, broker.port, broker.encrypted, broker.to_string())
        };
        for (text, host, named, port, encrypted, shown) in [
            ("mqtt://broker", "broker", true, 1883, false, "broker:1883"),
            ("mqtt://broker:1884/", "broker", true, 1884, false, "broker:1884"),
            ("mqtts://10.0.0.1", "10.0.0.1", false, 8883, true, "10.0.0.1:8883"),
            ("mqtts://[fd00::1]:1", "fd00::1", false, 1, true, "[fd00::1]:1"),
        ] {
            assert_eq!(read(text), (host.to_owned(), named, port, encrypted, shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_one_looks_like_and_no_password_is_repeated() {
        for (text, expected) in [
            ("broker", "not a URL"),
            ("broker:1883", "write mqtt://host:1883"),
            ("http://broker", "write mqtt://host:1883"),
            ("mqtt://", "a host is missing"),
            ("mqtt://broker:99999", "not a URL"),
            ("mqtt://me:hunter2@broker", "`password_file`"),
            ("mqtt://broker/topic", "`topic`"),
            ("mqtt://broker?topic=a", "`topic`"),
        ] {
            let error = BrokerUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
