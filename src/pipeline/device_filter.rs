//! Filter for devices: which are accepted, and how many may create state.
//!
//! Anyone on the network can send frames with any serial number: what each device costs in memory,
//! rows and topics is bounded here, before anything is kept for it.
//!
//! A place that a made-up device has taken stays taken until the next start. Were it freed after a
//! while, a sender of made-up frames could take a new one each time, and rows and topics would
//! grow with the years after all. A device that is listed needs none of these places.

use std::collections::{BTreeMap, HashSet};

use energi_decoders::MacAddress;
use energi_decoders::reading::is_no_device;

/// Devices that may be heard.
#[derive(Debug, Default)]
pub(crate) struct DeviceFilter {
    listed: BTreeMap<u32, Option<MacAddress>>,
    only_listed: bool,
    max: usize,
    seen: HashSet<u32>,
    unlisted: usize,
    /// Devices whose product the configuration says.
    products: HashSet<u32>,
    /// Devices that were said to be of another product.
    other_class: HashSet<u32>,
}

/// Devices that are said to be of another product; a sender of made-up frames could fill the log.
const MOST_OF_OTHER_CLASS: usize = 32;

/// Decision on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admit {
    /// Device that was heard before.
    Known,
    /// Device that is new, and is [remembered](DeviceFilter::remember) once it says something
    /// plausible.
    New,
    /// No: the serial number is 0 or `0xFFFFFFFF`, which only blank records show.
    NoDevice,
    /// No: only listed devices are heard, and this is none.
    NotListed,
    /// No: it is listed with another address.
    OtherAddress,
    /// No: as many unlisted devices as may be were heard before it.
    TooMany,
}

impl DeviceFilter {
    /// Everybody may be heard, up to `max` devices that are not in `listed`.
    #[must_use]
    pub(crate) fn open(listed: BTreeMap<u32, Option<MacAddress>>, max: usize) -> Self {
        Self { listed, max, ..Self::default() }
    }

    /// Admits only the devices in `listed`, each from its own address where one is given.
    #[must_use]
    pub(crate) fn listed_only(listed: BTreeMap<u32, Option<MacAddress>>) -> Self {
        Self { listed, only_listed: true, ..Self::default() }
    }

    /// Adds the devices whose product the configuration says: their class is no news.
    #[must_use]
    pub(crate) fn with_products(mut self, serials: impl IntoIterator<Item = u32>) -> Self {
        self.products.extend(serials);
        self
    }

    /// Returns whether the device with this serial number, heard from this address, may be heard.
    #[must_use]
    pub(crate) fn judge(&self, serial: u32, mac: Option<MacAddress>) -> Admit {
        if is_no_device(serial) {
            return Admit::NoDevice;
        }
        let listed = self.listed.get(&serial);
        match (self.only_listed, listed) {
            (true, None) => return Admit::NotListed,
            (true, Some(Some(wanted))) if mac != Some(*wanted) => return Admit::OtherAddress,
            _ => {}
        }
        if self.seen.contains(&serial) {
            Admit::Known
        } else if listed.is_none() && self.unlisted >= self.max {
            Admit::TooMany
        } else {
            Admit::New
        }
    }

    /// Remembers a new device, which takes a place where it is not listed. Only a device that said
    /// something plausible is worth one: noise and junk must not crowd out real devices.
    pub(crate) fn remember(&mut self, serial: u32) {
        if self.seen.insert(serial) && !self.listed.contains_key(&serial) {
            self.unlisted += 1;
        }
    }

    /// Returns whether it is news that a device's product class is not an eddi's.
    pub(super) fn is_new_of_other_class(&mut self, serial: u32) -> bool {
        !is_no_device(serial)
            && !self.products.contains(&serial)
            && self.other_class.len() < MOST_OF_OTHER_CLASS
            && self.other_class.insert(serial)
    }

    /// Returns how many devices are remembered.
    #[cfg(test)]
    pub(super) fn seen_count(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: MacAddress = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5]);
    const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_device_is_new_until_it_said_something_plausible() {
        let mut device_filter = DeviceFilter::open(BTreeMap::new(), 32);
        assert_eq!(device_filter.judge(7, Some(OURS)), Admit::New);
        assert_eq!(device_filter.judge(7, Some(OURS)), Admit::New);
        device_filter.remember(7);
        assert_eq!(device_filter.judge(7, Some(OURS)), Admit::Known);
    }

    #[test]
    fn the_serial_numbers_of_blank_records_are_refused() {
        let listed = BTreeMap::from([(0, None), (u32::MAX, None)]);
        for device_filter in
            [DeviceFilter::open(listed.clone(), 32), DeviceFilter::listed_only(listed)]
        {
            assert_eq!(device_filter.judge(0, Some(OURS)), Admit::NoDevice);
            assert_eq!(device_filter.judge(u32::MAX, Some(OURS)), Admit::NoDevice);
        }
    }

    #[test]
    fn listed_devices_are_received_beyond_the_maximum() {
        let mut device_filter = DeviceFilter::open(BTreeMap::from([(1, None)]), 2);
        for serial in [10, 11, 11] {
            device_filter.remember(serial);
        }
        assert_eq!(device_filter.judge(12, None), Admit::TooMany);
        assert_eq!(device_filter.judge(1, None), Admit::New);
        assert_eq!(device_filter.judge(10, None), Admit::Known);
    }

    #[test]
    fn with_only_listed_no_stranger_is_received() {
        let listed = BTreeMap::from([(1, Some(OURS)), (2, None)]);
        let mut device_filter = DeviceFilter::listed_only(listed);
        assert_eq!(device_filter.judge(1, Some(OTHER)), Admit::OtherAddress);
        assert_eq!(device_filter.judge(1, None), Admit::OtherAddress);
        assert_eq!(device_filter.judge(1, Some(OURS)), Admit::New);
        device_filter.remember(1);
        assert_eq!(device_filter.judge(1, Some(OTHER)), Admit::OtherAddress);
        assert_eq!(device_filter.judge(2, Some(OTHER)), Admit::New);
        assert_eq!(device_filter.judge(3, Some(OURS)), Admit::NotListed);
    }
}
