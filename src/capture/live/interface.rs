//! Network interfaces: their names, and what state they are in.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use pnet::datalink::NetworkInterface;
use rustix::io::Errno;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

/// The longest name that the kernel takes: `IFNAMSIZ` without the final zero.
const LONGEST: usize = 15;

/// The name of a network interface, such as `eth0`: one that could exist, not one that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

/// Reason why a text cannot be the name of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InterfaceNameError {
    /// The name is empty.
    #[error("the interface has no name: write one that `ip link` lists, such as eth0")]
    Empty,
    /// The name is longer than the kernel allows.
    #[error(
        "`{0}` has more than 15 bytes: write the short name of the interface, which `ip link` lists first"
    )]
    TooLong(String),
    /// The kernel allows no name like it.
    #[error("`{0}` is not an interface: a name has no space, `/` or `:`, and is not `.` or `..`")]
    Character(String),
}

impl InterfaceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Follows the kernel's `dev_valid_name`.
impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name.is_empty() {
            return Err(InterfaceNameError::Empty);
        }
        if name.len() > LONGEST {
            return Err(InterfaceNameError::TooLong(name.to_owned()));
        }
        let forbidden = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '\0');
        if matches!(name, "." | "..") || name.contains(forbidden) {
            return Err(InterfaceNameError::Character(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Serialize for InterfaceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InterfaceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// State of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// No such interface.
    Missing,
    /// The state is unknown: the process may have no descriptor left.
    Unknown,
    /// The interface exists but is switched off.
    Down,
    /// The interface is on but has no link: no cable, no Wi-Fi association.
    NoCarrier,
    /// The interface can receive.
    Up,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "does not exist",
            Self::Unknown => "cannot be looked up",
            Self::Down => "is down",
            Self::NoCarrier => "has no carrier",
            Self::Up => "is up",
        })
    }
}

/// The state of an interface, where it was found.
pub(super) fn state(found: Option<&NetworkInterface>) -> LinkState {
    match found {
        None => LinkState::Missing,
        Some(found) if !found.is_up() => LinkState::Down,
        Some(found) if !found.is_lower_up() => LinkState::NoCarrier,
        Some(_) => LinkState::Up,
    }
}

/// Every interface of this machine, in the kernel's order.
///
/// # Errors
/// The process may have no descriptor left.
pub fn list() -> io::Result<Vec<NetworkInterface>> {
    let interfaces = pnet::datalink::interfaces();
    // There is always the loopback: an empty list is how pnet reports an error.
    if interfaces.is_empty() { Err(io::Error::last_os_error()) } else { Ok(interfaces) }
}

/// The interface with this index.
pub(super) fn by_index(index: u32) -> io::Result<Option<NetworkInterface>> {
    Ok(list()?.into_iter().find(|candidate| candidate.index == index))
}

/// The interface that has this name or alternative name, as the kernel looks it up.
///
/// # Errors
/// The process may have no descriptor left.
pub fn find(name: &InterfaceName) -> io::Result<Option<NetworkInterface>> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    match rustix::net::netdevice::name_to_index(&socket, name.as_str()) {
        Ok(index) => by_index(index),
        Err(Errno::NODEV) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names of the interfaces that could be meant, for a message.
pub(super) fn candidates() -> Vec<String> {
    let interfaces = list().unwrap_or_default().into_iter();
    interfaces.filter(|candidate| !candidate.is_loopback()).map(|found| found.name).collect()
}

/// The bridge that this interface is a port of. It takes the port's frames before a socket that
/// is bound to their ethertype sees them.
pub(super) fn bridge(interface: &str) -> Option<String> {
    let link = fs::read_link(format!("/sys/class/net/{interface}/brport/bridge")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_takes_are_taken() {
        for name in ["eth0", "wlp2s0", "enx00e04c680001", "br-lan", "eth0.10", "évènement"] {
            assert_eq!(name.parse::<InterfaceName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn impossible_names_are_configuration_errors() {
        assert_eq!("".parse::<InterfaceName>(), Err(InterfaceNameError::Empty));
        assert!(matches!(
            "enx00e04c6800011".parse::<InterfaceName>(),
            Err(InterfaceNameError::TooLong(_))
        ));
        for name in [".", "..", "eth 0", "eth0:1", "../eth0", "eth\t0", "eth\u{0}"] {
            assert!(
                matches!(name.parse::<InterfaceName>(), Err(InterfaceNameError::Character(_))),
                "{name:?}"
            );
        }
    }
}
