//! What a device does, in one word.

use energi_decoders::Value;

use super::throttle::{Change, Reported};

/// What a device does, worked out from its flags and its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceStatus {
    /// Diversion is switched off.
    Stopped,
    /// It heats from the grid at the owner's wish.
    Boosting,
    /// Surplus goes into the heater.
    Diverting,
    /// It waits for surplus.
    Paused,
}

/// All the words, for whoever has to be told them beforehand.
pub(super) const WORDS: [&str; 4] = [
    DeviceStatus::Stopped.word(),
    DeviceStatus::Boosting.word(),
    DeviceStatus::Diverting.word(),
    DeviceStatus::Paused.word(),
];

/// Less than this into the heater is the noise of a current transformer.
const DIVERTING_FROM: f64 = 20.0;

impl DeviceStatus {
    /// The keys that it is worked out from.
    pub(super) const INPUTS: [&'static str; 3] = ["stopped", "boost", "divert_pwr"];

    /// Its word on the wire.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Boosting => "Boosting",
            Self::Diverting => "Diverting",
            Self::Paused => "Paused",
        }
    }

    /// The status by the newest values of a device; `None` until all that decide are known, for a
    /// device that is stopped must not be called paused until its flags have come.
    pub(super) fn of(value: impl Fn(&str) -> Option<Value>) -> Option<Self> {
        let [stopped, boost, power] = Self::INPUTS.map(value);
        let on = |flag: Option<Value>| flag.map(|flag| flag == Value::Flag(true));
        if on(stopped)? {
            Some(Self::Stopped)
        } else if on(boost)? {
            Some(Self::Boosting)
        } else if power?.as_f64() >= DIVERTING_FROM {
            Some(Self::Diverting)
        } else {
            Some(Self::Paused)
        }
    }
}

/// It changes with a flag at once, and with the power at the interval.
impl Reported for DeviceStatus {
    fn change(&self, sent: &Self, _deadband: f64) -> Change {
        match (self, sent) {
            _ if self == sent => Change::None,
            (Self::Diverting, Self::Paused) | (Self::Paused, Self::Diverting) => Change::Moved,
            _ => Change::Urgent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_comes_before_boosting_before_diverting() {
        let of = |stopped: Option<bool>, boost: Option<bool>, power: Option<i64>| {
            DeviceStatus::of(|key| match key {
                "stopped" => stopped.map(Value::Flag),
                "boost" => boost.map(Value::Flag),
                "divert_pwr" => power.map(Value::Integer),
                _ => None,
            })
            .map(DeviceStatus::word)
        };
        for (stopped, boost, power, expected) in [
            (Some(true), Some(true), Some(3000), Some("Stopped")),
            (Some(true), None, None, Some("Stopped")),
            (Some(false), Some(true), Some(3000), Some("Boosting")),
            (Some(false), Some(false), Some(20), Some("Diverting")),
            (Some(false), Some(false), Some(19), Some("Paused")),
            (Some(false), Some(false), Some(-5), Some("Paused")),
            (Some(false), Some(false), None, None),
            (Some(false), None, Some(3000), None),
            (None, Some(false), Some(3000), None),
        ] {
            assert_eq!(of(stopped, boost, power), expected, "{stopped:?} {boost:?} {power:?}");
        }
    }
}
