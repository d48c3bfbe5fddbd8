//! The machine's network interfaces, and of what kind each is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use energi_decoders::MacAddress;

/// Of what kind a network interface is, as far as it matters for hearing the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// The machine talking to itself.
    Loopback,
    /// A network card with a cable.
    Wired,
    /// A radio.
    Wifi,
    /// A bridge of several others.
    Bridge,
    /// One VLAN of another.
    Vlan,
    /// Several that are used as one.
    Bond,
    /// An end of a cable that is only in this machine, as containers have, or the like.
    Virtual,
    /// Something that does not speak Ethernet.
    Tunnel,
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
    /// Its name.
    pub name: String,
    /// Of what kind it is.
    pub kind: InterfaceKind,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its IP addresses with their prefix lengths.
    pub addresses: Vec<String>,
}

impl InterfaceInfo {
    /// Every interface of this machine, in the kernel's order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        pnet::datalink::interfaces()
            .into_iter()
            .map(|found| Self {
                kind: kind(&found.name, found.is_loopback()),
                mac: found.mac.map(|mac| MacAddress(mac.octets())),
                addresses: found.ips.iter().map(ToString::to_string).collect(),
                name: found.name,
            })
            .collect()
    }
}

/// What the kernel says in `/sys/class/net` (Documentation/ABI/testing/sysfs-class-net). Where
/// that cannot be read, a virtual one is assumed, of which nothing is believed.
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
    let uevent = read("uevent");
    match uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")) {
        Some("wlan") => InterfaceKind::Wifi,
        Some("bridge") => InterfaceKind::Bridge,
        Some("vlan") => InterfaceKind::Vlan,
        Some("bond") => InterfaceKind::Bond,
        _ if folder.join("phy80211").exists() => InterfaceKind::Wifi,
        _ if folder.join("device").exists() => InterfaceKind::Wired,
        _ => InterfaceKind::Virtual,
    }
}

/// Whether this process runs in a container, as Docker and Podman mark it.
pub(super) fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].map(PathBuf::from).iter().any(|mark| mark.exists())
}
