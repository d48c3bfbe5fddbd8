//! The bytes of each frame. Offsets count from the first byte after the Ethernet header, as in the
//! decoders. What is not known of a record holds plausible bytes: constants, and values that move.

use energi_decoders::entry::ENTRIES;
use energi_decoders::frame::{ETHERTYPE, MAGIC, MULTICAST, RECORDS};
use energi_decoders::layout::SERIAL;
use energi_decoders::{MacAddress, Product};

use super::eddi::{EddiSnapshot, MinuteHistory};
use super::random::Random;
use super::settings::Oddities;
use super::zappi::ZappiState;

const ETHERNET_HEADER: usize = 14;
const NETWORK: u8 = 0x53;
const KNOWN_DEVICE: u8 = 0xff;

/// A frame that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: [u8; ETHERNET_HEADER + RECORDS + 256],
    length: usize,
    /// Offset of the next entry of a status record.
    entry: u8,
}

/// Fixed bytes of a status record.
struct StatusRecord {
    product: Product,
    mac: MacAddress,
    serial: u32,
    frequency: i32,
    /// The byte at 0x25.
    setting: u8,
    rating: i32,
    energy: u16,
    /// The word at 0x2E.
    status: u16,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; ETHERNET_HEADER + RECORDS + 256], length: 0, entry: ENTRIES }
    }

    /// The whole frame, its Ethernet header first.
    pub(super) fn frame(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn begin(&mut self, length: u8, source: MacAddress, record_type: u16, product: Product) {
        self.length = ETHERNET_HEADER + RECORDS + usize::from(length);
        self.bytes[..self.length].fill(0);
        self.bytes[..6].copy_from_slice(&MULTICAST.0);
        self.bytes[6..12].copy_from_slice(&source.0);
        self.bytes[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
        self.put(0x00, MAGIC);
        self.put(0x14, [0x01]);
        self.put(0x18, [length, NETWORK]);
        self.put(0x1a, record_type.to_le_bytes());
        // Class 2 is a zappi's; the others are made up.
        let device = match product {
            Product::Zappi => 0x50,
            Product::Harvi => 0x58,
            Product::Eddi | Product::Unknown => 0x48,
        };
        self.put(0x1c, [device, KNOWN_DEVICE]);
    }

    fn begin_status(&mut self, length: u8, record: &StatusRecord) {
        self.begin(length, record.mac, 0x3510, record.product);
        self.put(SERIAL, record.serial.to_le_bytes());
        self.u16(0x22, record.frequency);
        self.put(0x25, [record.setting]);
        self.u16(0x26, record.rating);
        self.u16(0x2a, 0x0004);
        self.u16(0x2c, record.energy.into());
        self.put(0x2e, record.status.to_le_bytes());
        self.entry = ENTRIES;
    }

    fn put<const N: usize>(&mut self, offset: u8, bytes: [u8; N]) {
        let start = ETHERNET_HEADER + usize::from(offset);
        self.bytes[start..start + N].copy_from_slice(&bytes);
    }

    fn i16(&mut self, offset: u8, value: i32) {
        let value = value.clamp(i16::MIN.into(), i16::MAX.into());
        self.put(offset, i16::try_from(value).unwrap_or_default().to_le_bytes());
    }

    fn u16(&mut self, offset: u8, value: i32) {
        let value = value.clamp(0, u16::MAX.into());
        self.put(offset, u16::try_from(value).unwrap_or_default().to_le_bytes());
    }

    /// Adds an entry, and returns where it begins.
    fn entry<const N: usize>(&mut self, head: [u8; N]) -> u8 {
        let at = self.entry;
        self.put(at, head);
        self.entry += head[0] & 0x0f;
        at
    }

    /// A current transformer: `08`, channel, kind, a counter, power, current.
    fn ct_at(&mut self, at: u8, channel: u8, watts: i32, volts: i32) {
        self.put(at, [0x08, channel << 4 | 1, channel, 0x01]);
        self.i16(at + 4, watts);
        self.i16(at + 6, watts * 1000 / volts.max(1));
    }

    fn ct(&mut self, channel: u8, watts: i32, volts: i32) {
        let at = self.entry([0x08]);
        self.ct_at(at, channel, watts, volts);
    }

    fn voltage(&mut self, volts: i32) {
        let at = self.entry([0x14, 0x01]);
        self.u16(at + 2, volts);
    }

    fn tail(&mut self, value: i32) {
        let at = self.entry([0x23]);
        self.i16(at + 1, value);
    }

    /// The entry `6C`, in which mqtt-energi saw firmware.
    fn firmware(&mut self, state: &EddiSnapshot, noise: &mut Random) {
        let at = self.entry([0x6c, 0x00]);
        self.i16(at + 2, state.tank);
        self.i16(at + 4, state.heatsink);
        if !noise.chance(0.05) {
            self.i16(at + 6, 3200);
            self.i16(at + 8, 2150);
        }
        self.i16(at + 10, state.voltage + noise.between(-6, 6));
    }

    /// The entry `CE`, of which nothing is known.
    fn unknown_entry(&mut self, noise: &mut Random) {
        let at = self.entry([0xce, 0x00]);
        self.i16(at + 4, noise.between(0, 255));
        self.i16(at + 8, 650);
    }

    /// Blanks the record's body.
    fn blank(&mut self) {
        let body = ETHERNET_HEADER + usize::from(SERIAL);
        self.bytes[body..self.length].fill(0);
    }
}

/// Writes an eddi's frame of the given length byte. `noise` moves what is not known.
pub(super) fn eddi(frame: &mut Writer, length: u8, state: &EddiSnapshot, noise: &mut Random) {
    let serial = state.serial.to_le_bytes();
    match length {
        0x22 => {
            frame.begin(length, state.mac, 0x3600, Product::Eddi);
            frame.i16(0x1e, state.grid);
            frame.i16(0x22, state.generation);
            frame.put(0x2e, serial);
            frame.i16(0x32, state.divert);
        }
        0x36 => {
            frame.begin(length, state.mac, 0x5a5a, Product::Eddi);
            minute(frame, state);
            frame.put(0x4a, serial);
        }
        // Whatever else is asked for: a type of which nothing is known.
        other if entries_of(other).is_none() => {
            frame.begin(length, state.mac, 0x7878, Product::Eddi);
            frame.put(SERIAL, serial);
            frame.u16(0x22, state.counter.into());
            frame.i16(0x28, state.tank);
            if length >= 0x1e {
                frame.i16(0x30, noise.between(0, 255));
                frame.i16(0x34, state.divert / 60);
            }
        }
        _ => {
            frame.begin_status(length, &eddi_status(state));
            for entry in entries_of(length).unwrap_or_default() {
                match entry {
                    Entry::Voltage => frame.voltage(state.voltage),
                    Entry::Load => frame.ct(1, state.divert, state.voltage),
                    Entry::Grid => frame.ct(2, state.grid, state.voltage),
                    Entry::Generation => frame.ct(3, state.generation, state.voltage),
                    Entry::Firmware => frame.firmware(state, noise),
                    Entry::Unknown => frame.unknown_entry(noise),
                    Entry::Tail => frame.tail(state.divert * 4 / 5),
                }
            }
        }
    }
}

/// Entry of an eddi's status record.
#[derive(Clone, Copy)]
enum Entry {
    Voltage,
    Load,
    Grid,
    Generation,
    Firmware,
    Unknown,
    Tail,
}

/// The entries of an eddi's status record of a length: those that were seen, and for 0x2D, 0x37, 0x38
/// and 0x3A those that fit the length.
const fn entries_of(length: u8) -> Option<&'static [Entry]> {
    use Entry::{Firmware, Generation, Grid, Load, Tail, Unknown, Voltage};
    Some(match length {
        0x1f => &[Voltage, Tail],
        0x20 => &[Load],
        0x27 => &[Firmware, Tail],
        0x2b => &[Grid, Generation, Tail],
        0x2d => &[Unknown, Voltage, Tail],
        0x37 => &[Firmware, Grid, Generation, Tail],
        0x38 => &[Firmware, Grid, Generation, Voltage],
        0x39 => &[Unknown, Grid, Generation, Tail],
        0x3a => &[Unknown, Grid, Generation, Voltage],
        _ => return None,
    })
}

fn eddi_status(state: &EddiSnapshot) -> StatusRecord {
    let flags = [
        (state.hot, 0x0008),
        (state.boost, 0x0010),
        (state.heater == Some(1), 0x0100),
        (state.heater == Some(2), 0x0200),
    ];
    let flags = flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit);
    StatusRecord {
        product: Product::Eddi,
        mac: state.mac,
        serial: state.serial,
        frequency: state.frequency,
        // The first heater has priority, and is looked at every 15 minutes.
        setting: u8::from(state.stopped) << 7 | 3,
        rating: state.max_power,
        energy: state.counter,
        status: flags.fold(0x0021, |status, bit| status | bit),
    }
}

/// The minute history: averages of the last whole minute.
fn minute(frame: &mut Writer, state: &EddiSnapshot) {
    let MinuteHistory { grid, generation, divert, voltage, frequency, heatsink } = state.minute;
    frame.i16(0x30, generation.positive);
    frame.i16(0x32, generation.negative);
    frame.i16(0x38, voltage);
    frame.i16(0x3a, frequency);
    frame.i16(0x3c, heatsink);
    for (offset, average) in (0x3e..).step_by(4).zip([divert, grid, generation]) {
        frame.i16(offset, average.positive);
        frame.i16(offset + 2, average.negative);
    }
}

/// Writes a zappi's frame of the given length byte.
pub(super) fn zappi(frame: &mut Writer, length: u8, state: &ZappiState) {
    if length == 0x23 {
        frame.begin(length, state.mac, 0x3601, Product::Zappi);
        frame.put(0x1e, state.grid.to_le_bytes());
        frame.i16(0x22, state.generation);
        frame.put(0x2d, state.serial.to_le_bytes());
        frame.i16(0x31, state.charge);
        return;
    }
    frame.begin_status(
        length,
        &StatusRecord {
            product: Product::Zappi,
            mac: state.mac,
            serial: state.serial,
            frequency: state.frequency,
            setting: 0,
            rating: 7360,
            energy: state.session,
            status: 0x0021 | u16::from(state.mode) << 8,
        },
    );
    if length == 0x20 {
        frame.ct(1, state.charge, state.voltage);
    } else {
        frame.ct(2, state.grid, state.voltage);
        frame.ct(3, state.generation, state.voltage);
        if length == 0x33 {
            frame.ct(4, state.charge, state.voltage);
        }
        frame.tail(state.voltage);
    }
}

/// The device that relays a harvi's records, and what the harvi measures on its circuit.
pub(super) struct Relay {
    pub(super) mac: MacAddress,
    pub(super) serial: u32,
    pub(super) grid: i32,
    pub(super) generation: i32,
    pub(super) voltage: i32,
}

/// Writes the frame of a harvi that a device relays.
pub(super) fn harvi(frame: &mut Writer, serial: u32, relay: &Relay) {
    frame.begin(0x20, relay.mac, 0x3730, Product::Harvi);
    frame.put(SERIAL, relay.serial.to_le_bytes());
    frame.put(0x22, serial.to_le_bytes());
    frame.ct_at(0x26, 1, relay.grid, relay.voltage);
    frame.ct_at(0x2e, 2, relay.generation, relay.voltage);
}

/// Makes some of an eddi's frames show what is not so.
pub(super) fn distort(
    frame: &mut Writer,
    length: u8,
    state: &EddiSnapshot,
    oddities: &Oddities,
    random: &mut Random,
) {
    match length {
        0x27 | 0x2b | 0x36 => {
            let serial = if length == 0x36 { 0x4a } else { SERIAL };
            if random.chance(oddities.experimental_zero) {
                frame.blank();
                frame.put(serial, state.serial.to_le_bytes());
            } else if random.chance(oddities.experimental_wild) {
                // Words from 0x22 on hold no serial number.
                for _ in 0..random.between(1, 3) {
                    let word = u8::try_from(random.between(0, 13)).unwrap_or(0);
                    frame.i16(0x22 + 2 * word, random.between(-32_768, 32_767));
                }
            }
        }
        0x1f | 0x20 => {
            if random.chance(oddities.counter_zero) {
                frame.u16(0x2c, 0);
            } else if random.chance(oddities.counter_wild) {
                let counter = i32::from(state.counter);
                let wild = match random.between(0, 3) {
                    0 | 1 => random.between(0, 65_535),
                    2 => random.between(0, 9000),
                    _ => counter + random.between(-50, 50),
                };
                frame.u16(0x2c, wild);
            }
        }
        _ => {}
    }
}
