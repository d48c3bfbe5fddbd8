//! The settings that `mqtt-energi` has.

/// One of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Nic,
    Broker,
    Port,
    Topic,
    Id,
    User,
    Pass,
    Debug,
}

impl Known {
    pub(super) const ALL: [Self; 8] = [
        Self::Nic,
        Self::Broker,
        Self::Port,
        Self::Topic,
        Self::Id,
        Self::User,
        Self::Pass,
        Self::Debug,
    ];

    /// Its section and its name.
    pub(super) fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Nic => ("NETWORK", "nic"),
            Self::Broker => ("MQTT", "broker"),
            Self::Port => ("MQTT", "port"),
            Self::Topic => ("MQTT", "topic"),
            Self::Id => ("MQTT", "id"),
            Self::User => ("MQTT", "user"),
            Self::Pass => ("MQTT", "pass"),
            Self::Debug => ("DEBUG", "enabled"),
        }
    }

    /// The key of a configuration that its value goes to, where it goes to one as it is.
    pub(super) fn becomes(self) -> Option<&'static str> {
        match self {
            Self::Nic => Some("capture.interface"),
            Self::Broker => Some("sinks[0].url"),
            Self::Topic => Some("sinks[0].topic"),
            Self::Id => Some("sinks[0].client_id"),
            Self::User => Some("sinks[0].username"),
            Self::Pass => Some("sinks[0].password"),
            Self::Port | Self::Debug => None,
        }
    }
}
