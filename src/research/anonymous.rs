//! Captures that tell nobody whose they are: serial numbers and hardware addresses replaced.

use std::collections::BTreeMap;

use energi_decoders::frame::{MAGIC, RECORDS};
use energi_decoders::layout::SERIAL;
use energi_decoders::reading::is_no_device;
use energi_decoders::{DecoderTable, Frame, MacAddress, Record};

/// The devices' manufacturer, as far as a hardware address names it: it is kept.
const MYENERGI: [u8; 3] = [0x70, 0xb3, 0xd5];

/// The first three bytes of the new address of any other sender: locally administered.
const OTHERS: [u8; 3] = [0x02, 0x00, 0x00];

/// Serial numbers have eight decimal digits, as far as anybody has seen.
const SERIALS: std::ops::RangeInclusive<u32> = 10_000_000..=99_999_999;

/// A number below is replaced only where a decoder says that it is a serial number: its bytes are
/// mostly zeros, and could mean anything elsewhere.
const TELLING: u32 = 0x1_0000;

/// Finds out what names a device: the first of the two rounds through the captures.
#[derive(Debug)]
pub struct Identities {
    decoders: DecoderTable,
    /// Serial numbers in the order in which they came.
    serials: Vec<u32>,
    macs: Vec<MacAddress>,
    /// Number at the usual place of the serial in records that no decoder reads, by sender, length
    /// and type; `None` once it has changed.
    suspects: BTreeMap<(Option<MacAddress>, u8, u16), Option<u32>>,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            decoders: DecoderTable::built_in(),
            serials: Vec::new(),
            macs: Vec::new(),
            suspects: BTreeMap::new(),
        }
    }
}

impl Identities {
    /// Notes whom a frame names. `bytes` begin with its Ethernet header.
    pub fn learn(&mut self, bytes: &[u8], frame: &Frame<'_>) {
        for mac in [address(bytes, 6), address(bytes, 0)].into_iter().flatten() {
            if !is_multicast(mac) && !self.macs.contains(&mac) {
                self.macs.push(mac);
            }
        }
        for record in frame.records() {
            let mut read = false;
            for reading in self.decoders.decode(&record).flatten() {
                for serial in [Some(reading.serial), reading.relay()].into_iter().flatten() {
                    read = true;
                    if !is_no_device(serial) && !self.serials.contains(&serial) {
                        self.serials.push(serial);
                    }
                }
            }
            if !read {
                self.suspect(frame.source(), &record);
            }
        }
    }

    fn suspect(&mut self, source: Option<MacAddress>, record: &Record<'_>) {
        let Some(number) = record.at(SERIAL).map(u32::from_le_bytes) else { return };
        let key = (source, record.length(), record.record_type());
        let seen = self.suspects.entry(key).or_insert(Some(number));
        if *seen != Some(number) {
            *seen = None;
        }
    }

    /// Chooses what stands for what: `10000001`, `10000002` and so on, and the addresses likewise,
    /// in the order in which they came, so that the same captures always become the same.
    #[must_use]
    pub fn replaced(mut self) -> Anonymiser {
        for number in self.suspects.values().flatten() {
            if SERIALS.contains(number) && !self.serials.contains(number) {
                self.serials.push(*number);
            }
        }
        let mut free = (SERIALS.start() + 1..).filter(|number| !self.serials.contains(number));
        let serials: BTreeMap<u32, u32> = self.serials.iter().copied().zip(free.by_ref()).collect();
        let fresh = |prefix| {
            let numbered = (1_u32..0x100_0000).map(move |number| numbered(prefix, number));
            numbered.filter(|mac| !self.macs.contains(mac))
        };
        let (mut myenergi, mut others) = (fresh(MYENERGI), fresh(OTHERS));
        let new_macs = self.macs.iter().filter_map(|mac| {
            let new = if mac.0.starts_with(&MYENERGI) { myenergi.next() } else { others.next() };
            Some((*mac, new?))
        });
        let macs: BTreeMap<_, _> = new_macs.collect();
        let mut bytes = BTreeMap::new();
        for (old, new) in serials.iter().filter(|(old, _)| **old >= TELLING) {
            bytes.insert(old.to_be_bytes().to_vec(), new.to_be_bytes().to_vec());
            bytes.insert(old.to_le_bytes().to_vec(), new.to_le_bytes().to_vec());
            // As long as the new one: shorter digits could stand for anything.
            if SERIALS.contains(old) {
                bytes.insert(old.to_string().into_bytes(), new.to_string().into_bytes());
            }
        }
        for (old, new) in &macs {
            let turned = |mac: &MacAddress| mac.0.iter().rev().copied().collect::<Vec<_>>();
            bytes.insert(turned(old), turned(new));
            bytes.insert(old.0.to_vec(), new.0.to_vec());
        }
        Anonymiser { decoders: self.decoders, serials, macs, bytes }
    }
}

/// Replaces what names a device: the second round.
#[derive(Debug)]
pub struct Anonymiser {
    decoders: DecoderTable,
    serials: BTreeMap<u32, u32>,
    macs: BTreeMap<MacAddress, MacAddress>,
    /// Byte strings to replace wherever they stand in a payload.
    bytes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Anonymiser {
    /// Returns how many serial numbers are replaced.
    #[must_use]
    pub fn serials(&self) -> usize {
        self.serials.len()
    }

    /// Returns how many hardware addresses are replaced.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.macs.len()
    }

    /// The same frame without names: addresses and serial numbers replaced wherever their bytes stand
    /// in it, in either byte order, or a serial number's digits. What follows the last record is
    /// padding, in which senders leave pieces of other frames, or damage: it becomes zeros.
    #[must_use]
    pub fn anonymous(&self, bytes: &[u8], frame: &Frame<'_>) -> Vec<u8> {
        let mut new = bytes.to_vec();
        for offset in [0, 6] {
            let known = address(bytes, offset).and_then(|mac| self.macs.get(&mac));
            if let (Some(mac), Some(place)) = (known, new.get_mut(offset..offset + 6)) {
                place.copy_from_slice(&mac.0);
            }
        }
        // The payload is the frame's end, its records the payload's but for what follows them.
        let mut start = bytes.len() - frame.payload().len() + RECORDS;
        if let Some(header) = new.get_mut(start - RECORDS + MAGIC.len()..start) {
            self.replace(header);
        }
        for record in frame.records() {
            let end = start + record.bytes().len();
            if let Some(place) = new.get_mut(start..end) {
                self.record(place, &record);
            }
            start = end;
        }
        new.get_mut(start..).unwrap_or_default().fill(0);
        new
    }

    fn replace(&self, place: &mut [u8]) {
        let mut offset = 0;
        while let Some(rest) = place.get_mut(offset..).filter(|rest| !rest.is_empty()) {
            let found = self.bytes.iter().find(|(old, _)| rest.starts_with(old));
            let size = found.map_or(1, |(old, _)| old.len());
            if let (Some((_, new)), Some(place)) = (found, rest.get_mut(..size)) {
                place.copy_from_slice(new);
            }
            offset += size;
        }
    }

    fn record(&self, place: &mut [u8], record: &Record<'_>) {
        self.replace(place);
        let readings = self.decoders.decode(record).flatten();
        for offset in readings.flat_map(|reading| {
            let layout = reading.layout();
            [Some(layout.serial), layout.relay].into_iter().flatten()
        }) {
            let serial = record.at(offset).map(u32::from_le_bytes);
            let new = serial.and_then(|serial| self.serials.get(&serial));
            let start = usize::from(offset).saturating_sub(RECORDS);
            if let (Some(new), Some(place)) = (new, place.get_mut(start..start + 4)) {
                place.copy_from_slice(&new.to_le_bytes());
            }
        }
    }
}

fn address(bytes: &[u8], offset: usize) -> Option<MacAddress> {
    bytes.get(offset..)?.first_chunk().copied().map(MacAddress)
}

fn numbered(prefix: [u8; 3], number: u32) -> MacAddress {
    let ([first, second, third], [_, fourth, fifth, sixth]) = (prefix, number.to_be_bytes());
    MacAddress([first, second, third, fourth, fifth, sixth])
}

/// The lowest bit of the first byte says that an address is a group's, which names nobody.
const fn is_multicast(mac: MacAddress) -> bool {
    mac.0[0] & 1 == 1
}

#[cfg(test)]
mod tests {
    use energi_decoders::frame::{MAGIC, MULTICAST};

    use super::*;

    const SENDER: MacAddress = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5]);
    const LAPTOP: MacAddress = MacAddress([0xdc, 0xa6, 0x32, 0x01, 0x02, 0x03]);
    const DEVICE: u32 = 17_589_669;
    const OTHER: u32 = 20_111_222;

    fn frame(destination: MacAddress, records: &[&[u8]], tail: &[u8]) -> Vec<u8> {
        let header: [&[u8]; 6] =
            [&destination.0, &SENDER.0, &[0x88, 0xb5], &MAGIC, &[0; 16], &[1, 0, 0, 0]];
        [&header.concat(), &records.concat(), tail].concat()
    }

    fn record(length: u8, parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut record = vec![0; usize::from(length)];
        record[..6].copy_from_slice(&[length, 0x53, 0x10, 0x35, 0, 0xff]);
        for (offset, bytes) in parts {
            record[offset - RECORDS..offset - RECORDS + bytes.len()].copy_from_slice(bytes);
        }
        record
    }

    fn all_anonymous(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut identities = Identities::default();
        for bytes in frames {
            identities.learn(bytes, &Frame::parse(bytes).unwrap());
        }
        let anonymiser = identities.replaced();
        let anonymous =
            |bytes: &Vec<u8>| anonymiser.anonymous(bytes, &Frame::parse(bytes).unwrap());
        frames.iter().map(anonymous).collect()
    }

    fn holds(frames: &[Vec<u8>], bytes: &[u8]) -> bool {
        frames.iter().any(|frame| frame.windows(bytes.len()).any(|window| window == bytes))
    }

    #[test]
    fn only_names_are_replaced() {
        let (device, other) = (DEVICE.to_le_bytes(), OTHER.to_le_bytes());
        let known = record(0x22, &[(0x1E, &[0xf4, 0xff]), (0x2E, &device)]);
        // One device names another at an odd place, in the other byte order, and its address.
        let hub = record(
            0x31,
            &[(0x1E, &other), (0x25, &device), (0x2B, &DEVICE.to_be_bytes()), (0x33, &SENDER.0)],
        );
        let frames = [
            frame(MULTICAST, &[&known, &hub], &[0, 0xaa, device[0], device[1]]),
            frame(LAPTOP, &[&hub], &[3, 0x0c, 0x65, 0xa5]),
        ];
        let anonymous = all_anonymous(&frames);
        let names: [&[u8]; 5] = [&device, &DEVICE.to_be_bytes(), &other, &SENDER.0, &LAPTOP.0];
        for name in names {
            assert!(holds(&frames, name) && !holds(&anonymous, name), "{name:x?}");
        }
        let new = |number: u32| (10_000_000 + number).to_le_bytes();
        let sender = [0x70, 0xb3, 0xd5, 0, 0, 1];
        let known = record(0x22, &[(0x1E, &[0xf4, 0xff]), (0x2E, &new(1))]);
        let swapped: Vec<_> = new(1).into_iter().rev().collect();
        let hub =
            record(0x31, &[(0x1E, &new(2)), (0x25, &new(1)), (0x2B, &swapped), (0x33, &sender)]);
        let mut expected = [
            frame(MULTICAST, &[&known, &hub], &[0; 4]),
            frame(MacAddress([2, 0, 0, 0, 0, 1]), &[&hub], &[0; 4]),
        ];
        for frame in &mut expected {
            frame[6..12].copy_from_slice(&sender);
        }
        assert_eq!(anonymous, expected);
    }

    #[test]
    fn names_in_digits_or_headers_are_replaced() {
        let digits = DEVICE.to_string();
        let hub = record(0x31, &[(0x25, digits.as_bytes())]);
        let known = record(0x22, &[(0x2E, &DEVICE.to_le_bytes())]);
        let mut named = frame(MULTICAST, &[&known, &hub], &[]);
        named[14 + 4..14 + 8].copy_from_slice(&DEVICE.to_be_bytes());
        named[14 + 8..14 + 14].copy_from_slice(&SENDER.0);
        let anonymous = all_anonymous(&[named]);
        for name in [digits.as_bytes(), &DEVICE.to_be_bytes(), &SENDER.0] {
            assert!(!holds(&anonymous, name), "{name:x?}");
        }
        assert!(holds(&anonymous, b"10000001"));
        assert_eq!(Frame::parse(&anonymous[0]).unwrap().records().count(), 2);
    }

    #[test]
    fn a_new_number_is_never_that_of_another_device() {
        let named =
            |serial: u32| frame(MULTICAST, &[&record(0x22, &[(0x2E, &serial.to_le_bytes())])], &[]);
        let anonymous = all_anonymous(&[named(DEVICE), named(10_000_001), named(5), named(0)]);
        assert_eq!(anonymous[0][14..], named(10_000_002)[14..]);
        assert_eq!(anonymous[1][14..], named(10_000_003)[14..]);
        assert_eq!(anonymous[2][14..], named(10_000_004)[14..], "where it is a serial number");
        assert_eq!(anonymous[3][14..], named(0)[14..], "no device");
    }

    #[test]
    fn a_number_that_changes_is_no_serial_number() {
        let unknown =
            |number: u32| frame(MULTICAST, &[&record(0x31, &[(0x1E, &number.to_le_bytes())])], &[]);
        let frames = [unknown(OTHER), unknown(OTHER + 1)];
        let anonymous = all_anonymous(&frames);
        assert_eq!(anonymous[0][14..], frames[0][14..]);
    }
}
