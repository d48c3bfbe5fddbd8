//! Every topic that the sink publishes to.

use energi_decoders::{Field, packets};

use super::energy;
use super::problems;

const SERIAL: &str = "serial";
const STATE: &str = "state";
const STATUS: &str = "status";
const AVAILABILITY: &str = "availability";

/// The topics below one base: those of `mqtt-energi`, and those that are new.
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

    /// Topic of the gateway: [`ONLINE`] or [`OFFLINE`], retained, and the last will.
    #[must_use]
    pub fn bridge_state(&self) -> String {
        format!("{}/bridge/state", self.base)
    }

    /// Topic for a message that tries whether this client may publish and read.
    pub(super) fn check(&self) -> String {
        format!("{}/bridge/check", self.base)
    }

    /// Beginning of all topics of a device, without the slash.
    #[must_use]
    pub fn device(&self, serial: u32) -> String {
        format!("{}/{serial}", self.base)
    }

    /// Topic of a value. The key of an experimental one has a slash in it, and so one level more.
    #[must_use]
    pub fn value(&self, serial: u32, key: &str) -> String {
        format!("{}/{serial}/{key}", self.base)
    }

    /// Topic of the serial number.
    #[must_use]
    pub fn serial(&self, serial: u32) -> String {
        self.value(serial, SERIAL)
    }

    /// Topic of all current values of a device, as one JSON object.
    #[must_use]
    pub fn state(&self, serial: u32) -> String {
        self.value(serial, STATE)
    }

    /// Topic of the device's state in one word.
    #[must_use]
    pub fn status(&self, serial: u32) -> String {
        self.value(serial, STATUS)
    }

    /// Topic of a device's presence: [`ONLINE`] or [`OFFLINE`], retained.
    #[must_use]
    pub fn availability(&self, serial: u32) -> String {
        self.value(serial, AVAILABILITY)
    }

    /// Filter for the presence of every device.
    pub(super) fn every_availability(&self) -> String {
        format!("{}/+/{AVAILABILITY}", self.base)
    }

    /// Filter for everything of every device.
    pub(super) fn of_devices(&self) -> String {
        format!("{}/+/#", self.base)
    }

    /// Every topic of a device, for all keys of the decoders that are built in.
    pub(super) fn known(&self, serial: u32) -> impl Iterator<Item = String> {
        ends().map(move |last| self.value(serial, last))
    }

    /// Returns the device whose presence `topic` is.
    pub(super) fn serial_of_availability(&self, topic: &str) -> Option<u32> {
        self.of_device(topic).filter(|(_, last)| *last == AVAILABILITY).map(|(serial, _)| serial)
    }

    /// Returns whether `topic` is one that a device is published to: others may stand below the
    /// same base.
    #[must_use]
    pub fn is_of_device(&self, topic: &str) -> bool {
        self.of_device(topic).is_some_and(|(_, last)| is_published(last))
    }

    fn of_device<'a>(&self, topic: &'a str) -> Option<(u32, &'a str)> {
        let below = topic.strip_prefix(&self.base)?.strip_prefix('/')?;
        let (serial, last) = below.split_once('/')?;
        let number: u32 = serial.parse().ok()?;
        // Not a number in some other spelling.
        (number.to_string() == serial).then_some((number, last))
    }
}

/// Fields of all built-in decoders, those that are off too: their topics may be retained, and their
/// keys stand in a configuration.
pub(super) fn fields() -> impl Iterator<Item = &'static Field> {
    packets::all().flat_map(|layout| layout.fields.iter())
}

/// Ends of a device's topics, whichever built-in decoders are on.
fn ends() -> impl Iterator<Item = &'static str> {
    let own = [SERIAL, STATE, STATUS, AVAILABILITY].into_iter();
    own.chain(energy::KEYS).chain(problems::KEYS).chain(fields().map(Field::key))
}

/// Returns whether a device has a topic that ends so, whichever decoders are on.
fn is_published(last: &str) -> bool {
    // Those of a decoder that was declared once may not be known any more.
    let declared = |(length, key): (&str, &str)| {
        u8::from_str_radix(length, 16).is_ok_and(|byte| format!("{byte:02X}") == length)
            && !key.is_empty()
            && !key.contains('/')
    };
    ends().any(|end| end == last)
        || last.strip_prefix("0x").and_then(|rest| rest.split_once('/')).is_some_and(declared)
}

/// Payload for a gateway that runs and a device that is received; Home Assistant's default.
pub const ONLINE: &str = "online";

/// Payload for a gateway that has stopped and a device that is not received; Home Assistant's
/// default.
pub const OFFLINE: &str = "offline";

/// Returns what is wrong with a topic that others are to stand below, if anything.
///
/// MQTT 3.1.1, 4.7: a topic published to has no wildcards and no NUL; names that begin with `$` are
/// the broker's.
pub(super) fn fault(base: &str) -> Option<&'static str> {
    if base.is_empty() {
        Some("name a topic, such as myenergi")
    } else if base.contains(['+', '#']) {
        Some("a topic to publish to has no wildcards (`+`, `#`)")
    } else if base.chars().any(char::is_control) {
        Some("control characters, such as a line break, are not allowed")
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

/// Leaves room below for any serial number and key; the protocol's limit is 65,535.
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
