//! Names of the ethertypes that a household's network is full of.

/// Ethertypes from here on; a smaller number at their place is a length (IEEE 802.3).
pub const LEAST: u16 = 0x0600;

/// The name of an ethertype (IEEE 802 numbers, IANA); empty where this program knows none.
#[must_use]
pub const fn name(ethertype: u16) -> &'static str {
    match ethertype {
        0..LEAST => "spanning tree and the like",
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x86DD => "IPv6",
        0x8863 | 0x8864 => "PPPoE",
        0x888E => "802.1X",
        0x8912 | 0x88E1 => "powerline",
        0x88B5 => "local experimental: the devices'",
        0x88CC => "LLDP",
        0x8899 | 0x9003 => "loop detection",
        0x893A => "IEEE 1905",
        0xDADA => "the tag of a switch's CPU port",
        _ => "",
    }
}
