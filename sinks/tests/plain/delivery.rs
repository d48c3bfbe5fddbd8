//! Promises to every sink on the way from the capture to its destination.

mod channel;
mod runner;
mod scripted;

use std::sync::Arc;

use energi_decoders::{DecoderTable, Frame, Reading};

/// A reading of a device whose serial number is `number`.
fn reading(number: u32) -> Arc<Reading> {
    let mut payload = [0; 0x18 + 0x22];
    payload[..4].copy_from_slice(&[0xcb, 0xda, 0xe9, 0xf8]);
    payload[0x18] = 0x22;
    payload[0x2e..0x32].copy_from_slice(&number.to_le_bytes());
    let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
    Arc::new(DecoderTable::confirmed().decode(&record).next().unwrap().unwrap())
}
