//! The `devices` section: names, and who is let in.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize, Serializer};

use energi_decoders::reading::is_no_device;
use energi_decoders::{MacAddress, Product};
use energi_sinks::settings::Problem;

/// The devices that the configuration knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Devices {
    /// True if unlisted devices are refused.
    pub only_listed: bool,
    /// Number of unlisted serials that may create state; the rest are counted.
    pub max: u32,
    /// The devices themselves.
    pub list: Vec<Device>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { only_listed: false, max: 32, list: Vec::new() }
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The serial number, as on its label.
    pub serial: u32,
    /// Name of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Product of the device, where the product class of its records says something else or
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// The only sender that may speak for it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "mac")]
    pub mac: Option<MacAddress>,
}

impl Devices {
    /// The names that devices are given, by serial number.
    #[must_use]
    pub fn names(&self) -> BTreeMap<u32, String> {
        let named = |device: &Device| Some((device.serial, device.name.clone()?));
        self.list.iter().filter_map(named).collect()
    }

    /// Returns what devices are, by serial number.
    pub fn products(&self) -> impl Iterator<Item = (u32, Product)> + '_ {
        self.list.iter().filter_map(|device| Some((device.serial, device.product?)))
    }

    /// The serial numbers of the only devices that are received; `None` where unlisted ones are too.
    #[must_use]
    pub fn only(&self) -> Option<BTreeSet<u32>> {
        self.only_listed.then(|| self.list.iter().map(|device| device.serial).collect())
    }

    pub(in crate::config) fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.only_listed && self.list.is_empty() {
            problems.push(Problem::new(
                "only_listed",
                "no device is listed, so none would be received; list one or write false",
            ));
        }
        if !(1..=MOST_UNLISTED).contains(&self.max) {
            problems.push(Problem::new("max", format!("allow 1 to {MOST_UNLISTED} devices")));
        }
        let mut listed = HashSet::new();
        for (index, device) in self.list.iter().enumerate() {
            let serial = device.serial;
            let problem = if is_no_device(serial) {
                format!("no device has the serial number {serial}; see the device's label")
            } else if !listed.insert(serial) {
                format!("{serial} is listed already; keep one")
            } else {
                continue;
            };
            problems.push(Problem::new(format!("list[{index}].serial"), problem));
        }
        problems
    }
}

/// State for so many devices still fits the memory of a small computer.
const MOST_UNLISTED: u32 = 10_000;

mod mac {
    use serde::{Deserializer, de};

    use super::{MacAddress, Serializer};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(in crate::config) fn serialize<S: Serializer>(
        mac: &Option<MacAddress>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match mac {
            Some(mac) => serializer.collect_str(mac),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<MacAddress>, D::Error> {
        let text: Option<String> = de::Deserialize::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}
