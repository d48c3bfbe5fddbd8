//! Every topic that the sink publishes to, in one place.

use std::fmt::Display;

use energi_decoders::packets;

/// What a device is published to beside its values.
const OWN: [&str; 4] = [SERIAL, STATE, STATUS, AVAILABILITY];
const SERIAL: &str = "serial";
const STATE: &str = "state";
const STATUS: &str = "status";
const AVAILABILITY: &str = "availability";

/// The topics below one base, as `mqtt-energi` lays them out, and those that are new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    base: String,
}

impl Topics {
    /// The topics below `base`, which begins and ends without a slash.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned() }
    }

    /// Whether the gateway runs: [`ONLINE`] or [`OFFLINE`], retained, and the last will.
    #[must_use]
    pub fn bridge_state(&self) -> String {
        format!("{}/bridge/state", self.base)
    }

    /// What all topics of a device begin with, but for a slash.
    #[must_use]
    pub fn device(&self, serial: u32) -> String {
        format!("{}/{serial}", self.base)
    }

    /// One value of a device. The key of an experimental one has a slash in it, and so one level
    /// more.
    #[must_use]
    pub fn value(&self, serial: u32, key: &str) -> String {
        self.of(serial, key)
    }

    /// The serial number, as a value of its own.
    #[must_use]
    pub fn serial(&self, serial: u32) -> String {
        self.of(serial, SERIAL)
    }

    /// All current values of a device, as one JSON object.
    #[must_use]
    pub fn state(&self, serial: u32) -> String {
        self.of(serial, STATE)
    }

    /// What the device does, in one word.
    #[must_use]
    pub fn status(&self, serial: u32) -> String {
        self.of(serial, STATUS)
    }

    /// Whether the device is heard: [`ONLINE`] or [`OFFLINE`], retained.
    #[must_use]
    pub fn availability(&self, serial: u32) -> String {
        self.of(serial, AVAILABILITY)
    }

    /// A filter for everything of every device.
    #[must_use]
    pub fn of_devices(&self) -> String {
        format!("{}/+/#", self.base)
    }

    /// Whether `topic` is one that a device is published to: others may stand below the same base.
    #[must_use]
    pub fn is_of_device(&self, topic: &str) -> bool {
        let below = topic.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/'));
        below.and_then(|below| below.split_once('/')).is_some_and(|(serial, last)| {
            // Not a number in some other spelling.
            serial.parse().is_ok_and(|number: u32| number.to_string() == serial)
                && is_published(last)
        })
    }

    fn of(&self, serial: u32, last: impl Display) -> String {
        format!("{}/{serial}/{last}", self.base)
    }
}

/// Whether a device has a topic that ends so, whichever decoders are on.
fn is_published(last: &str) -> bool {
    let mut keys = packets::ALL.iter().flat_map(|layout| layout.fields.iter());
    // Those of a decoder that was declared once may not be known any more.
    let declared = |(length, key): (&str, &str)| {
        u8::from_str_radix(length, 16).is_ok_and(|byte| format!("{byte:02X}") == length)
            && !key.is_empty()
            && !key.contains('/')
    };
    OWN.contains(&last)
        || keys.any(|field| field.key() == last)
        || last.strip_prefix("0x").and_then(|rest| rest.split_once('/')).is_some_and(declared)
}

/// The gateway runs, or the device is heard. Home Assistant's default word.
pub const ONLINE: &str = "online";

/// The gateway has stopped, or the device is not heard. Home Assistant's default word.
pub const OFFLINE: &str = "offline";

/// What is wrong with a topic that others are to stand below, if anything.
///
/// MQTT 3.1.1, 4.7: a topic published to has no wildcards and no NUL; names that begin with `$` are
/// the broker's.
pub(super) fn fault(base: &str) -> Option<&'static str> {
    if base.is_empty() {
        Some("name a topic, such as myenergi")
    } else if base.contains(['+', '#']) {
        Some("a topic to publish to has no wildcards (`+`, `#`)")
    } else if base.chars().any(char::is_control) {
        Some("a topic has no control characters")
    } else if base.starts_with('$') {
        Some("topics that begin with `$` belong to the broker")
    } else if base.split('/').any(str::is_empty) {
        Some("a topic neither begins nor ends with a slash, nor has two of them together")
    } else if base.len() > LONGEST {
        Some("200 bytes at most")
    } else {
        None
    }
}

/// Leaves room below for any serial number and key; the protocol itself ends at 65,535.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_mqtt_energi() {
        let topics = Topics::new("my/energi");
        assert_eq!(topics.value(17_589_669, "grid_pwr"), "my/energi/17589669/grid_pwr");
        assert_eq!(topics.value(17_589_669, "0x36/v1"), "my/energi/17589669/0x36/v1");
        assert_eq!(topics.serial(17_589_669), "my/energi/17589669/serial");
    }

    #[test]
    fn a_topic_of_a_device_is_told_from_others() {
        let topics = Topics::new("my/energi");
        for topic in [
            topics.availability(7),
            topics.status(7),
            topics.state(7),
            topics.value(7, "grid_pwr"),
            topics.value(7, "0x36/v1"),
            topics.value(7, "0x2C/tank_temp"),
            topics.serial(u32::MAX),
        ] {
            assert!(topics.is_of_device(&topic), "{topic}");
        }
        for other in [
            "my/energi/bridge/state",
            "my/energi/7",
            "my/energi/7/temperature",
            "my/energi/7/0x2C",
            "my/energi/7/0x2c/tank_temp",
            "my/energi/7/0x2C/tank/temp",
            "my/energi/07/status",
            "my/energi/+7/status",
            "my/energi",
            "my/energi/4294967296/status",
            "my/energi2/7/status",
            "other/7/status",
            "",
        ] {
            assert!(!topics.is_of_device(other), "{other}");
        }
    }

    #[test]
    fn a_topic_that_no_broker_takes_is_refused() {
        for good in ["myenergi", "home/myenergi", "Heißes Wasser"] {
            assert_eq!(fault(good), None, "{good}");
        }
        let long = "x".repeat(201);
        for wrong in ["", "a/+/b", "#", "/a", "a/", "a//b", "$SYS/a", "a\0", "a\nb", &long] {
            assert!(fault(wrong).is_some(), "{wrong:?}");
        }
    }
}
