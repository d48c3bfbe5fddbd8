//! Addresses of brokers, as `url` gives them.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use url::{Host, Url};

/// Address of a broker: `mqtt://host`, or `mqtts://host` for an encrypted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    text: String,
    /// A name in ASCII or an address, an IPv6 address without its brackets.
    pub(super) host: String,
    /// The port; 1883 or, encrypted, 8883 where the URL has none.
    pub(super) port: u16,
    /// Records whether the connection is encrypted.
    pub(super) encrypted: bool,
}

/// Brokers in the order in which they are tried; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrls(Vec<BrokerUrl>);

/// Reason why a text is no address of a broker. The text itself may hold a password and is never
/// repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BrokerUrlError {
    /// Text that is no URL.
    #[error("not a URL: {0}; write mqtt://host:1883 or mqtts://host:8883")]
    Url(#[from] url::ParseError),
    /// Another protocol.
    #[error(
        "the scheme is missing or unknown: write mqtt://host:1883, or mqtts://host:8883 for an \
         encrypted connection"
    )]
    Scheme,
    /// No host.
    #[error("a host is missing: mqtt://host:1883")]
    Host,
    /// A user in the URL.
    #[error("give the user as `username`, and the password as `password` or `password_file`")]
    Credentials,
    /// Something after host and port.
    #[error("remove what follows the host and the port; the option `topic` sets the topic")]
    Path,
}

impl BrokerUrl {
    fn parse(text: &str) -> Result<Self, BrokerUrlError> {
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => BrokerUrlError::Scheme,
            error => BrokerUrlError::Url(error),
        })?;
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
        let host = match url.host_str() {
            None | Some("") => return Err(BrokerUrlError::Host),
            // The scheme is not one for which `Url` turns a name with umlauts into what a resolver
            // understands.
            Some(host) => match Host::parse(host)? {
                Host::Ipv6(address) => address.to_string(),
                host => host.to_string(),
            },
        };
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

impl BrokerUrls {
    /// All brokers, the preferred one first.
    pub(super) fn all(&self) -> &[BrokerUrl] {
        &self.0
    }

    /// Returns the broker of the `turn`th attempt.
    pub(super) fn at(&self, turn: usize) -> &BrokerUrl {
        &self.0[turn % self.0.len()]
    }

    /// Returns whether the connection to any of them is encrypted.
    pub(super) fn encrypted(&self) -> bool {
        self.0.iter().any(|broker| broker.encrypted)
    }
}

impl fmt::Display for BrokerUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, broker) in self.0.iter().enumerate() {
            write!(f, "{}{broker}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl Serialize for BrokerUrls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [broker] => serializer.serialize_str(&broker.text),
            brokers => serializer.collect_seq(brokers.iter().map(|broker| &broker.text)),
        }
    }
}

impl<'de> Deserialize<'de> for BrokerUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BrokerUrlsVisitor)
    }
}

struct BrokerUrlsVisitor;

impl<'de> Visitor<'de> for BrokerUrlsVisitor {
    type Value = BrokerUrls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of a broker, such as mqtt://host:1883, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BrokerUrls, E> {
        BrokerUrl::parse(text).map(|broker| BrokerUrls(vec![broker])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<BrokerUrls, A::Error> {
        let mut brokers = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            brokers.push(BrokerUrl::parse(&text).map_err(de::Error::custom)?);
        }
        if brokers.is_empty() {
            return Err(de::Error::custom("the list is empty; name a broker: mqtt://host:1883"));
        }
        Ok(BrokerUrls(brokers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_to_connect() {
        for (text, host, port, encrypted, shown) in [
            ("mqtt://broker", "broker", 1883, false, "broker:1883"),
            ("mqtt://broker:1884/", "broker", 1884, false, "broker:1884"),
            ("mqtt://broker:80", "broker", 80, false, "broker:80"),
            ("mqtts://10.0.0.1", "10.0.0.1", 8883, true, "10.0.0.1:8883"),
            ("mqtts://[fd00::1]:1", "fd00::1", 1, true, "[fd00::1]:1"),
            (
                "mqtt://müller.example",
                "xn--mller-kva.example",
                1883,
                false,
                "xn--mller-kva.example:1883",
            ),
        ] {
            let broker = BrokerUrl::parse(text).unwrap();
            let read = (&*broker.host, broker.port, broker.encrypted, &*broker.to_string());
            assert_eq!(read, (host, port, encrypted, shown), "{text}");
        }
    }

    #[test]
    fn the_error_of_an_address_repeats_no_password() {
        for (text, expected) in [
            ("broker", "mqtt://host:1883"),
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

    #[test]
    fn several_brokers_keep_their_order() {
        let read = |yaml: serde_json::Value| serde_json::from_value::<BrokerUrls>(yaml);
        let list = serde_json::json!(["mqtt://one", "mqtts://two:1"]);
        let brokers = read(list.clone()).unwrap();
        assert_eq!(brokers.to_string(), "one:1883, two:1");
        assert_eq!(
            (brokers.at(0).to_string(), brokers.at(3).to_string()),
            ("one:1883".into(), "two:1".into())
        );
        assert!(brokers.encrypted());
        assert_eq!(serde_json::to_value(&brokers).unwrap(), list);
        assert!(read(serde_json::json!([])).is_err());
    }
}
