//! Receives whatever comes to an interface, to find out why the devices are not among it.

use std::fmt;

use super::channel::{Channel, READ_TIMEOUT};
use super::socket::CaptureFilter;
use super::{InterfaceName, LiveSettings, is_harmless};
use crate::capture::CaptureError;

/// A socket that receives every ethertype: the devices' frames whole, of all others the header.
/// Frames of this machine are left out. As for [`super::LiveSource`] the group is joined.
pub struct TrafficMonitor {
    interface: InterfaceName,
    channel: Channel,
}

impl TrafficMonitor {
    /// Listens on an interface that is up.
    ///
    /// # Errors
    /// [`CaptureError::Permission`] says how to get it; [`CaptureError::Io`] says what else is
    /// wrong with the interface.
    pub fn open(interface: InterfaceName) -> Result<Self, CaptureError> {
        let settings = LiveSettings { interface, promiscuous: false };
        let channel = Channel::open(&settings, CaptureFilter::Everything)
            .map_err(|error| error.on(&settings.interface))?;
        Ok(Self { interface: settings.interface, channel })
    }

    /// Asks the network card for every frame on the wire from here on. The kernel undoes it when
    /// the socket closes.
    ///
    /// # Errors
    /// The interface is gone.
    pub fn disable_card_filter(&self) -> Result<(), CaptureError> {
        self.channel.disable_card_filter().map_err(|error| error.on(&self.interface))
    }

    /// The next frame, Ethernet header first; `None` where none comes for about 100 ms.
    ///
    /// # Errors
    /// The interface went away.
    pub fn receive(&mut self) -> Result<Option<&[u8]>, CaptureError> {
        let Self { interface, channel } = self;
        match channel.receive(READ_TIMEOUT, None) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if is_harmless(&error) => Ok(None),
            Err(error) => Err(CaptureError::Io(format!("{interface} went away: {error}"))),
        }
    }
}

impl fmt::Debug for TrafficMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrafficMonitor").field("interface", &self.interface).finish_non_exhaustive()
    }
}
