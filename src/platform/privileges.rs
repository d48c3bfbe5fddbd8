//! Privileges of the program, and how it drops them.
//!
//! Linux keeps capabilities by thread, and a thread that is started inherits those of its creator.
//! So a command gives up what it can before it starts a thread, and only the thread that captures
//! keeps the one right that it needs to listen again on an interface that comes back.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};
use thiserror::Error;
use tracing::debug;

/// Capabilities that a thread keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rights {
    /// No right that any other program does not have.
    #[default]
    None,
    /// Right to open packet sockets: `CAP_NET_RAW`, where the program was given it.
    Capture,
}

impl Rights {
    fn capabilities(self) -> CapabilitySet {
        match self {
            Self::None => CapabilitySet::empty(),
            Self::Capture => CapabilitySet::NET_RAW,
        }
    }
}

/// A privilege could not be given up.
#[derive(Debug, Error)]
#[error(
    "cannot drop the privileges of the start: {0}; a sandbox may forbid it (under systemd, \
     SystemCallFilter= must allow `capset`)"
)]
pub struct PrivilegeError(#[from] io::Error);

/// Makes sure that no program which is ever started from here gains a privilege by being started,
/// as from a set-user-ID bit. To be called before any thread is started.
pub fn never_gain() {
    if let Err(error) = set_no_new_privs(true) {
        // Kernels before 3.5, and sandboxes that have set it already and watch this call.
        debug!(%error, "no_new_privs is not set");
    }
}

/// Gives up every capability of the calling thread but `rights`: effective, permitted and
/// inheritable, and with these the ambient ones, which the kernel keeps a part of them. Threads
/// that it starts from here on have no more.
///
/// That holds for root, too: it stays the owner of root's files, and is a stranger to those of
/// other users. Returns whether that was given up.
///
/// # Errors
/// [`PrivilegeError`] where there is something to give up and a sandbox forbids it.
pub fn keep_only(rights: Rights) -> Result<bool, PrivilegeError> {
    let had = capabilities(None).map_err(io::Error::from)?;
    let kept = had.permitted & rights.capabilities();
    let kept =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    if had == kept {
        return Ok(false);
    }
    set_capabilities(None, kept).map_err(io::Error::from)?;
    Ok(had.effective.contains(CapabilitySet::DAC_OVERRIDE))
}
