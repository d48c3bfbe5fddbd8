//! Network interfaces of the machine, and of what kind each is.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use energi_decoders::MacAddress;
use pnet::datalink::NetworkInterface;

use crate::capture::live::{self, InterfaceProbe, LinkState};

/// Kind of a network interface, as far as it matters for receiving the devices. The likeliest to
/// receive them come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceKind {
    /// A network card with a cable.
    Wired,
    /// A bridge of several others.
    Bridge,
    /// A radio.
    Wifi,
    /// One VLAN of another.
    Vlan,
    /// Several that are used as one.
    Bond,
    /// An end of a cable that is only in this machine, as containers have, or the like.
    Virtual,
    /// An interface that does not speak Ethernet.
    Tunnel,
    /// The machine talking to itself.
    Loopback,
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Wired => "wired",
            Self::Wifi => "Wi-Fi",
            Self::Bridge => "bridge",
            Self::Vlan => "VLAN",
            Self::Bond => "bond",
            Self::Virtual => "virtual",
            Self::Tunnel => "tunnel",
        })
    }
}

/// A network interface.
#[derive(Debug, Clone)]
pub struct InterfaceInfo {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: InterfaceKind,
    /// State of the link.
    pub state: LinkState,
    /// Bridge that it is a port of.
    pub bridge: Option<String>,
    /// Hardware address.
    pub mac: Option<MacAddress>,
    /// IP addresses with their prefix lengths.
    pub addresses: Vec<String>,
}

impl InterfaceInfo {
    /// Describes an interface, given what stands in the way of listening on it.
    pub(super) fn new(found: &NetworkInterface, probe: &InterfaceProbe) -> Self {
        Self {
            kind: kind(&found.name, found.is_loopback()),
            state: probe.state,
            bridge: probe.bridge.clone(),
            mac: found.mac.map(|mac| MacAddress(mac.octets())),
            addresses: found.ips.iter().map(ToString::to_string).collect(),
            name: found.name.clone(),
        }
    }

    /// Every interface of this machine, the likeliest to receive the devices first; none where they
    /// cannot be listed.
    #[cfg(feature = "mqtt")]
    #[must_use]
    pub fn all() -> Vec<Self> {
        let all = all(None).unwrap_or_default().into_iter();
        all.map(|(interface, _)| interface).collect()
    }

    /// Returns whether devices could be received: an Ethernet interface that is up and keeps its
    /// frames.
    #[must_use]
    pub fn is_candidate(&self) -> bool {
        self.kind < InterfaceKind::Tunnel && self.state == LinkState::Up && self.bridge.is_none()
    }
}

/// Every interface of this machine with what stands in the way of listening on it, the likeliest to
/// receive the devices first.
///
/// # Errors
/// The process may have no descriptor left.
pub(super) fn all(forbidden: Option<&String>) -> io::Result<Vec<(InterfaceInfo, InterfaceProbe)>> {
    let mut interfaces: Vec<_> = live::list()?
        .iter()
        .filter_map(|found| {
            let name = found.name.parse().ok()?;
            let probe = live::probe_found(&name, Ok(Some(found)), forbidden.cloned());
            Some((InterfaceInfo::new(found, &probe), probe))
        })
        .collect();
    interfaces.sort_by_key(|(interface, _)| (!interface.is_candidate(), interface.kind));
    Ok(interfaces)
}

/// Returns what the kernel says in `/sys/class/net` (Documentation/ABI/testing/sysfs-class-net).
/// Where that cannot be read, a virtual one is assumed.
fn kind(name: &str, is_loopback: bool) -> InterfaceKind {
    /// `ARPHRD_ETHER` of `if_arp.h`.
    const ETHERNET: &str = "1";
    let folder = Path::new("/sys/class/net").join(name);
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    if is_loopback {
        return InterfaceKind::Loopback;
    }
    if folder.exists() && read("type").trim() != ETHERNET {
        return InterfaceKind::Tunnel;
    }
    match read("uevent").lines().find_map(|line| line.strip_prefix("DEVTYPE=")) {
        Some("wlan") => InterfaceKind::Wifi,
        Some("bridge") => InterfaceKind::Bridge,
        Some("vlan") => InterfaceKind::Vlan,
        Some("bond") => InterfaceKind::Bond,
        _ if folder.join("phy80211").exists() => InterfaceKind::Wifi,
        _ if folder.join("device").exists() => InterfaceKind::Wired,
        _ => InterfaceKind::Virtual,
    }
}

/// Returns whether this process runs in a container, as Docker and Podman mark it.
pub(super) fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}
