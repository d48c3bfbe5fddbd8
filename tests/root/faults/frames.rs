//! Frames of one eddi that can be told apart wherever they arrive.

use support::network::device_frame;

pub(crate) const SERIAL: u32 = 17_589_669;

/// A frame with a number, which is its generation power, 1 to 9,999.
pub(crate) fn numbered(number: u16) -> Vec<u8> {
    let mut frame = device_frame(0);
    frame[14 + 0x22..][..2].copy_from_slice(&number.to_le_bytes());
    frame[14 + 0x2E..][..4].copy_from_slice(&SERIAL.to_le_bytes());
    frame
}

/// The same, and what the daily counter shows beside it, in hundredths of a kWh.
pub(crate) fn with_counter(number: u16, counter: u16) -> Vec<u8> {
    let mut frame = numbered(number);
    let mut record = [0; 0x20];
    record[..6].copy_from_slice(&[0x20, 0x53, 0x10, 0x35, 0, 0xff]);
    // Offsets count from the first record of a frame.
    let mut put = |offset: usize, bytes: &[u8]| {
        record[offset - 0x18..][..bytes.len()].copy_from_slice(bytes);
    };
    put(0x1E, &SERIAL.to_le_bytes());
    put(0x22, &5_000_u16.to_le_bytes());
    put(0x2C, &counter.to_le_bytes());
    frame.extend(record);
    frame
}
