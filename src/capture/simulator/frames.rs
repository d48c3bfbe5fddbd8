//! The bytes of each frame. Offsets count from the first byte after the Ethernet header, as in the
//! decoders. What is not known of a record holds plausible bytes: constants, and values that move.

use energi_decoders::MacAddress;
use energi_decoders::frame::{ETHERTYPE, MAGIC, MULTICAST, RECORDS};

use super::eddi::DeviceState;
use super::random::Random;
use super::settings::Oddities;

const ETHERNET_HEADER: usize = 14;
const NETWORK: u8 = 0x53;
const KNOWN_DEVICE: u8 = 0xff;
const SERIAL: u8 = 0x1e;

/// A frame that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: [u8; ETHERNET_HEADER + RECORDS + 256],
    length: usize,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; ETHERNET_HEADER + RECORDS + 256], length: 0 }
    }

    /// The whole frame, its Ethernet header first.
    pub(super) fn frame(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn begin(&mut self, length: u8, source: MacAddress, record_type: u16) {
        self.length = ETHERNET_HEADER + RECORDS + usize::from(length);
        self.bytes[..self.length].fill(0);
        self.bytes[..6].copy_from_slice(&MULTICAST.0);
        self.bytes[6..12].copy_from_slice(&source.0);
        self.bytes[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
        self.put(0x00, MAGIC);
        self.put(0x14, [0x01]);
        self.put(0x18, [length, NETWORK]);
        self.put(0x1a, record_type.to_le_bytes());
        self.put(0x1c, [0x01, KNOWN_DEVICE]);
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

    fn i8(&mut self, offset: u8, value: i32) {
        let value = value.clamp(i8::MIN.into(), i8::MAX.into());
        self.put(offset, i8::try_from(value).unwrap_or_default().to_le_bytes());
    }

    /// One reading of a current transformer: `08`, channel, kind, a counter, power, current.
    fn current_transformer(&mut self, offset: u8, channel: u8, kind: u8, watts: i32, volts: i32) {
        self.put(offset, [0x08, channel, kind, 0x01]);
        self.i16(offset + 4, watts);
        self.i16(offset + 6, hundredths_of_ampere(watts, volts));
    }

    /// Blanks the record's body.
    fn blank(&mut self) {
        let body = ETHERNET_HEADER + usize::from(SERIAL);
        self.bytes[body..self.length].fill(0);
    }
}

/// Current in 0.01 A from power in W and voltage in 0.1 V.
fn hundredths_of_ampere(watts: i32, volts: i32) -> i32 {
    watts * 1000 / volts.max(1)
}

/// Writes a zappi's frame of the given length byte: the powers that are seen on such sites.
pub(super) fn zappi(frame: &mut Writer, length: u8, state: &DeviceState) {
    let source = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x7a, 0x01]);
    frame.begin(length, source, 0x3510);
    if length == 0x33 {
        frame.i16(0x26, state.grid);
        frame.i16(0x34, state.generation);
        frame.i16(0x3c, state.divert);
    } else {
        frame.put(0x1e, state.grid.to_le_bytes());
        frame.i16(0x31, state.generation);
    }
}

/// Writes an eddi's frame of the given length byte. `noise` moves what is not known.
pub(super) fn eddi(frame: &mut Writer, length: u8, state: &DeviceState, noise: &mut Random) {
    frame.begin(length, state.mac, record_type(length));
    let serial = state.serial.to_le_bytes();
    match length {
        0x22 => frame.put(0x2e, serial),
        0x36 => frame.put(0x4a, serial),
        _ => frame.put(SERIAL, serial),
    }
    match length {
        0x1f => mains(frame, state),
        0x20 => diverter(frame, state),
        0x22 => powers(frame, state),
        0x27 => firmware(frame, state, noise),
        0x2b => transformers(frame, state),
        0x36 => internals(frame, state, noise),
        0x37 => {
            frame.i16(0x4d, state.divert);
            frame.i8(0x3c, 2);
            frame.i16(0x3a, state.tank);
            frame.i16(0x34, noise.between(880, 912));
            frame.i16(0x32, 0x0103);
            frame.i16(0x30, state.counter.into());
            frame.i16(0x2e, noise.between(0, 255));
        }
        0x38 => {
            frame.u16(0x24, state.frequency);
            frame.u16(0x26, state.voltage);
            for (offset, value) in (0x28..=0x3e).step_by(2).zip([0, 4, 0, 12, 260, 0]) {
                frame.i16(offset, value);
            }
            frame.i16(0x3e, noise.between(-40, 40));
        }
        0x3a => {
            for (offset, base) in (0x22..=0x38).step_by(2).zip([3, 0, 17, 400, 0, 60, 650]) {
                frame.i16(offset, base);
            }
            frame.i16(0x42, state.heatsink);
            frame.i16(0x44, noise.between(0, 600));
        }
        _ => history(frame, length, state, noise),
    }
}

/// Types that were seen on the wire; which length has which is a guess.
fn record_type(length: u8) -> u16 {
    match length {
        0x1f => 0x0114,
        0x20 => 0x2108,
        0x22 | 0x2b => 0x3510,
        0x27 => 0x3601,
        0x2d => 0x5a5a,
        0x36 => 0x7878,
        _ => 0x006c,
    }
}

fn mains(frame: &mut Writer, state: &DeviceState) {
    frame.u16(0x22, state.frequency);
    frame.u16(0x2c, state.counter.into());
    frame.u16(0x32, state.voltage);
}

fn diverter(frame: &mut Writer, state: &DeviceState) {
    frame.u16(0x22, state.frequency);
    frame.put(0x25, [u8::from(state.stopped) << 7]);
    frame.u16(0x26, state.max_power);
    frame.u16(0x2c, state.counter.into());
    let mut status = 0x0021_u16;
    let flags = [
        (state.hot, 0x0008),
        (state.boost, 0x0010),
        (state.heater == Some(1), 0x0100),
        (state.heater == Some(2), 0x0200),
    ];
    for (set, bit) in flags {
        status |= if set { bit } else { 0 };
    }
    frame.put(0x2e, status.to_le_bytes());
    frame.current_transformer(0x30, 0x11, 0x03, state.divert, state.voltage);
}

fn powers(frame: &mut Writer, state: &DeviceState) {
    frame.i16(0x1e, state.grid);
    frame.i16(0x22, state.generation);
    frame.i16(0x32, state.divert);
}

fn transformers(frame: &mut Writer, state: &DeviceState) {
    frame.u16(0x22, state.frequency);
    frame.u16(0x2c, state.counter.into());
    frame.current_transformer(0x30, 0x11, 0x01, state.grid, state.voltage);
    frame.current_transformer(0x38, 0x21, 0x02, state.generation, state.voltage);
    // The third entry begins and does not fit.
    frame.put(0x40, [0x08, 0x31, 0x03]);
}

fn firmware(frame: &mut Writer, state: &DeviceState, noise: &mut Random) {
    frame.u16(0x22, state.frequency);
    frame.u16(0x2c, state.counter.into());
    frame.i16(0x2e, noise.between(0, 4095));
    frame.i16(0x30, noise.between(-300, 300));
    frame.i16(0x32, state.tank);
    frame.i16(0x34, state.heatsink);
    if !noise.chance(0.05) {
        frame.i16(0x36, 3200);
        frame.i16(0x38, 2150);
    }
    frame.i16(0x3a, state.voltage + noise.between(-6, 6));
    frame.i8(0x3c, noise.between(0, 9));
    frame.i8(0x3d, state.divert / 32);
}

fn internals(frame: &mut Writer, state: &DeviceState, noise: &mut Random) {
    frame.i16(0x1e, state.divert / 2 + noise.between(-8, 8));
    frame.i16(0x20, noise.between(-60, 60));
    frame.i16(0x22, state.max_power);
    frame.i16(0x24, 0x0102);
    frame.i16(0x30, noise.between(0, 1023));
    frame.i16(0x34, state.generation / 4);
    frame.i16(0x36, state.grid / 4);
    frame.i16(0x38, state.voltage);
    frame.i16(0x3a, state.frequency);
    frame.i16(0x3c, state.heatsink);
    frame.i16(0x3e, noise.between(300, 360));
    frame.i16(0x40, noise.between(480, 520));
    frame.i16(0x42, 12);
    frame.i16(0x44, state.tank);
    frame.i16(0x46, hundredths_of_ampere(state.divert, state.voltage));
    frame.i16(0x48, -1);
}

/// 0x2C, 0x2D and 0x39, and whatever else is asked for: nobody knows what is in them.
fn history(frame: &mut Writer, length: u8, state: &DeviceState, noise: &mut Random) {
    frame.u16(0x22, state.counter.into());
    frame.i16(0x28, state.tank);
    let end = 0x18_u8.saturating_add(length);
    if end >= 0x36 {
        frame.i16(0x30, noise.between(0, 255));
        frame.i16(0x34, state.divert / 60);
    }
}

/// Makes some frames show what is not so.
pub(super) fn distort(
    frame: &mut Writer,
    length: u8,
    state: &DeviceState,
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
