//! Looks at an interface without listening on it.

use std::fmt;
use std::io;

use pnet::datalink::NetworkInterface;

use super::channel::{self, OpenError};
use super::interface::{self, InterfaceName, LinkState};
use super::socket::CaptureFilter;

/// State of an interface, and obstacles to capturing on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceProbe {
    /// The interface asked for.
    pub interface: InterfaceName,
    /// State of the interface.
    pub state: LinkState,
    /// The bridge that it is a port of, which takes its frames: the one to listen on.
    pub bridge: Option<String>,
    /// Reason why this process may not capture, with the remedy; `None` where it may.
    pub forbidden: Option<String>,
    /// Reason why the interface could not be looked up.
    pub failed: Option<String>,
    /// Existing interfaces where there is none of this name, the loopback left out.
    pub candidates: Vec<String>,
}

/// Returns the reason why this process may not capture on any interface, with the remedy; `None`
/// where it may.
#[must_use]
pub fn forbidden() -> Option<String> {
    channel::open_socket(CaptureFilter::Devices).err().map(|error: OpenError| error.to_string())
}

/// Looks at `interface` and at what this process may do. Changes nothing.
#[must_use]
pub fn probe(interface: &InterfaceName) -> InterfaceProbe {
    probe_found(interface, interface::find(interface).as_ref().map(Option::as_ref), forbidden())
}

/// Returns what [`probe`] says, of an interface that was looked up.
#[must_use]
pub fn probe_found(
    interface: &InterfaceName,
    found: Result<Option<&NetworkInterface>, &io::Error>,
    forbidden: Option<String>,
) -> InterfaceProbe {
    let state = found.map_or(LinkState::Unknown, interface::state);
    InterfaceProbe {
        interface: interface.clone(),
        state,
        bridge: found.ok().flatten().and_then(|found| interface::bridge(&found.name)),
        forbidden,
        failed: found.err().map(ToString::to_string),
        candidates: if state == LinkState::Missing { interface::candidates() } else { Vec::new() },
    }
}

impl InterfaceProbe {
    /// Returns whether frames can be received now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == LinkState::Up && self.bridge.is_none() && self.forbidden.is_none()
    }
}

impl fmt::Display for InterfaceProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.interface, self.state)?;
        if let Some(failed) = &self.failed {
            write!(f, ": {failed}")?;
        }
        if !self.candidates.is_empty() {
            write!(f, " (there are: {})", self.candidates.join(", "))?;
        }
        if let Some(bridge) = &self.bridge {
            write!(f, "; it is a port of {bridge}, which takes its frames: use {bridge} instead")?;
        }
        if let Some(forbidden) = &self.forbidden {
            write!(f, "; {forbidden}")?;
        }
        Ok(())
    }
}
