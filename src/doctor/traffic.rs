//! What came over an interface, counted.

use std::collections::{BTreeMap, BTreeSet};

use energi_decoders::Trust;
use energi_decoders::reading::is_no_device;
use energi_decoders::{Decoder, DecoderTable, Frame, FrameError, Layout, MacAddress};

/// More senders, and more devices, than any household has. Anyone can send frames.
const MOST: usize = 64;

/// What came over an interface.
#[derive(Debug)]
pub struct TrafficStats {
    decoders: DecoderTable,
    /// Frames of any kind.
    pub frames: u64,
    /// Frames of the devices' protocol.
    pub of_devices: u64,
    /// Frames by ethertype, behind VLAN tags where there are any left; those below 0x0600 say a
    /// length (IEEE 802.3) and are counted under 0.
    pub ethertypes: BTreeMap<u16, u64>,
    /// Frames of the devices' protocol by their sender.
    pub senders: BTreeMap<MacAddress, Sender>,
    /// The devices whose serial numbers were read, with the names of the decoders that read them.
    pub devices: BTreeMap<u32, BTreeSet<String>>,
    /// Frames of the devices' ethertype, but of another program.
    pub foreign: u64,
    /// Frames of the devices' protocol that are damaged.
    pub damaged: u64,
    /// Frames of the devices' protocol that a VLAN tag still hides.
    pub tagged: u64,
}

/// What one address sent.
#[derive(Debug, Default)]
pub struct Sender {
    /// Frames.
    pub frames: u64,
    /// Records by their length byte.
    pub records: BTreeMap<u8, u64>,
}

impl Default for TrafficStats {
    fn default() -> Self {
        Self {
            decoders: DecoderTable::built_in(),
            frames: 0,
            of_devices: 0,
            ethertypes: BTreeMap::new(),
            senders: BTreeMap::new(),
            devices: BTreeMap::new(),
            foreign: 0,
            damaged: 0,
            tagged: 0,
        }
    }
}

impl TrafficStats {
    /// Counts a frame.
    pub fn count(&mut self, bytes: &[u8]) {
        self.frames += 1;
        let Some(ethertype) = ethertype(bytes) else { return };
        *self.ethertypes.entry(ethertype).or_default() += 1;
        match Frame::parse(bytes) {
            Ok(frame) => {
                self.tagged += u64::from(is_tagged(bytes));
                self.frame(&frame);
            }
            Err(FrameError::Ethertype(_)) => {}
            Err(FrameError::Magic) => self.foreign += 1,
            Err(_) => self.damaged += u64::from(ethertype == energi_decoders::frame::ETHERTYPE),
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.of_devices += 1;
        let Some(mac) = frame.source() else { return };
        if self.senders.len() < MOST || self.senders.contains_key(&mac) {
            let sender = self.senders.entry(mac).or_default();
            sender.frames += 1;
            for record in frame.records() {
                *sender.records.entry(record.length()).or_default() += 1;
            }
        }
        for record in frame.records() {
            for decoder in self.decoders.decoders(&record) {
                let Ok(reading) = decoder.decode(&record) else { continue };
                let serial = reading.serial;
                let known = self.devices.contains_key(&serial);
                if is_no_device(serial) || !(known || self.devices.len() < MOST) {
                    continue;
                }
                let readers = self.devices.entry(serial).or_default();
                readers.insert(format!("{:#04X}", record.length()));
            }
        }
    }

    /// Whether records came that no built-in decoder reads, by their length.
    #[must_use]
    pub fn unread(&self) -> bool {
        let mut lengths = self.senders.values().flat_map(|sender| sender.records.keys());
        lengths.any(|length| self.layout(*length).is_none())
    }

    fn layout(&self, length: u8) -> Option<&Layout> {
        self.decoders.iter().map(Decoder::layout).find(|layout| layout.length == length)
    }

    /// What reads records of a length, for people.
    #[must_use]
    pub fn decoder(&self, length: u8) -> String {
        match self.layout(length) {
            None => "no decoder".to_owned(),
            Some(layout) if layout.status == Trust::Confirmed => layout.name.to_string(),
            Some(layout) => format!("{} (experimental)", layout.name),
        }
    }
}

const TAGS: [u16; 2] = [0x8100, 0x88a8];

fn field(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

fn is_tagged(bytes: &[u8]) -> bool {
    field(bytes, 12).is_some_and(|ethertype| TAGS.contains(&ethertype))
}

/// The ethertype behind VLAN tags; 0 for a frame that has a length there.
fn ethertype(bytes: &[u8]) -> Option<u16> {
    const LEAST: u16 = 0x0600;
    let mut offset = 12;
    while let Some(ethertype) = field(bytes, offset) {
        if !TAGS.contains(&ethertype) {
            return Some(if ethertype < LEAST { 0 } else { ethertype });
        }
        offset += 4;
    }
    None
}
