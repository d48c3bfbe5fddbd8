//! Counts of the traffic of an interface, and the newest values in it.

use std::collections::{BTreeMap, BTreeSet};

use energi_decoders::packets::{self, Reader};
use energi_decoders::reading::is_no_device;
use energi_decoders::{
    DecoderTable, Frame, FrameError, Gate, MacAddress, Plausibility, Product, Record, Trust,
    Verdict,
};
use energi_sinks::current::CurrentValues;
use jiff::Timestamp;

use crate::capture::ethertype;

/// More senders, and more devices, than any household has. Anyone can send frames.
const MOST: usize = 64;

/// More kinds of records than any device sends.
const MOST_KINDS: usize = 256;

/// Traffic of an interface.
#[derive(Debug)]
pub struct TrafficStats {
    decoders: DecoderTable,
    gate: Gate,
    /// Frames of any kind.
    pub frames: u64,
    /// Frames of the devices' protocol.
    pub of_devices: u64,
    /// Frames by ethertype, behind VLAN tags; those of IEEE 802.3 are counted under 0.
    pub ethertypes: BTreeMap<u16, u64>,
    /// Frames of the devices' protocol by their sender.
    pub senders: BTreeMap<MacAddress, SenderStats>,
    /// Devices whose records were read, by serial number.
    pub devices: BTreeMap<u32, DeviceTraffic>,
    /// Newest confirmed values of each device.
    pub values: CurrentValues,
    /// Frames of the devices' ethertype, but of another program.
    pub foreign: u64,
    /// Frames of the devices' protocol behind two VLAN tags.
    pub double_tagged: u64,
}

/// Frames of one sender.
#[derive(Debug, Default)]
pub struct SenderStats {
    /// Records by their kind.
    pub records: BTreeMap<RecordKind, u64>,
}

/// Records that name a device.
#[derive(Debug, Default)]
pub struct DeviceTraffic {
    /// Product, as far as the decoders tell.
    pub product: Product,
    /// Length bytes of the records.
    pub records: BTreeSet<u8>,
}

/// Key of a record's decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKind {
    /// The length byte.
    pub length: u8,
    /// The record type.
    pub record_type: u16,
    /// The product class.
    pub class: u8,
}

impl RecordKind {
    fn of(record: &Record<'_>) -> Self {
        let (record_type, class) = (record.record_type(), record.class());
        Self { length: record.length(), record_type, class }
    }

    fn reader(self) -> Reader {
        packets::reader(self.length, self.record_type, Some(self.class))
    }

    /// The built-in decoder that reads records of this kind, for people.
    #[must_use]
    pub fn decoder(self) -> String {
        match self.reader() {
            Reader::Missing => "no decoder".to_owned(),
            Reader::Refused => "refused, of another device".to_owned(),
            Reader::Layout(layout) if layout.status == Trust::Confirmed => layout.name.to_string(),
            Reader::Layout(layout) => format!("{} (experimental)", layout.name),
        }
    }
}

impl Default for TrafficStats {
    fn default() -> Self {
        Self {
            decoders: DecoderTable::built_in(),
            gate: Gate::new(Plausibility::Withhold),
            frames: 0,
            of_devices: 0,
            ethertypes: BTreeMap::new(),
            senders: BTreeMap::new(),
            devices: BTreeMap::new(),
            values: CurrentValues::default(),
            foreign: 0,
            double_tagged: 0,
        }
    }
}

impl TrafficStats {
    /// Counts a frame.
    pub fn count(&mut self, bytes: &[u8], time: Timestamp) {
        self.frames += 1;
        let Some((ethertype, tags)) = ethertype(bytes) else { return };
        *self.ethertypes.entry(ethertype).or_default() += 1;
        match Frame::parse(bytes) {
            Ok(frame) => {
                self.double_tagged += u64::from(tags > 1);
                self.frame(&frame, time);
            }
            Err(FrameError::Magic) => self.foreign += 1,
            Err(_) => {}
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, time: Timestamp) {
        self.of_devices += 1;
        let Some(mac) = frame.source() else { return };
        let counts = self.senders.len() < MOST || self.senders.contains_key(&mac);
        for record in frame.records() {
            if counts {
                let records = &mut self.senders.entry(mac).or_default().records;
                let kind = RecordKind::of(&record);
                if records.len() < MOST_KINDS || records.contains_key(&kind) {
                    *records.entry(kind).or_default() += 1;
                }
            }
            self.record(&record, time);
        }
    }

    fn record(&mut self, record: &Record<'_>, time: Timestamp) {
        for mut reading in self.decoders.decode(record).flatten() {
            let serial = reading.serial;
            let room = self.devices.len() < MOST || self.devices.contains_key(&serial);
            if is_no_device(serial) || !room {
                continue;
            }
            let confirmed = !reading.experimental();
            let device = self.devices.entry(serial).or_default();
            device.records.insert(record.length());
            if device.product == Product::Unknown || confirmed {
                device.product = reading.product;
            }
            reading.time = Some(time);
            if confirmed && self.gate.pass(&mut reading, |_| {}) != Verdict::Empty {
                self.values.update(&reading);
            }
        }
    }

    /// Returns whether records came that no built-in decoder reads.
    #[must_use]
    pub fn has_unread_records(&self) -> bool {
        let mut kinds = self.senders.values().flat_map(|sender| sender.records.keys());
        kinds.any(|kind| kind.reader().layout().is_none())
    }
}

/// The ethertype behind VLAN tags, and how many tags there are; 0 for a frame with a length there.
fn ethertype(bytes: &[u8]) -> Option<(u16, usize)> {
    const TAGS: [u16; 2] = [0x8100, 0x88a8];
    let mut fields = bytes.get(12..)?.chunks(4).map(|field| field.first_chunk::<2>());
    let tags = fields
        .clone()
        .take_while(|field| field.is_some_and(|field| TAGS.contains(&u16::from_be_bytes(*field))));
    let tags = tags.count();
    let ethertype = u16::from_be_bytes(*fields.nth(tags)??);
    Some((if ethertype < ethertype::LEAST { 0 } else { ethertype }, tags))
}
