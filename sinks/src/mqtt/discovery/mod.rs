//! Tells Home Assistant of the devices (MQTT device discovery).

use super::config::Config;
use super::message::Message;
use crate::sink::Context;

/// What Home Assistant is told.
#[derive(Debug)]
pub(super) struct Announcer {}

/// What follows from a message that was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// To be published at once.
    pub(super) messages: Vec<Message>,
    /// Home Assistant has started: everything is announced again a moment later, then the current
    /// values.
    pub(super) born: bool,
}

impl Announcer {
    /// `None` where discovery is switched off.
    pub(super) fn new(_config: &Config, _context: &Context) -> Option<Self> {
        None
    }

    /// The topic filters to subscribe to, on every connect.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        Vec::new()
    }

    /// The announcement of a device: at first sight, on every connect, and when Home Assistant
    /// has started.
    pub(super) fn announce(&self, _serial: u32) -> Vec<Message> {
        Vec::new()
    }

    /// Takes a message of one of the subscriptions.
    pub(super) fn hear(&mut self, _topic: &str, _payload: &[u8], _retained: bool) -> Heard {
        Heard::default()
    }
}
