//! Messages that `mqtt-energi` publishes, from the byte tables of the protocol's notes alone:
//! nothing of this project's decoders is used.

use std::collections::BTreeMap;
use std::path::Path;

use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Link, Source};

/// Form of a value in the bytes.
#[derive(Clone, Copy)]
pub(crate) enum Raw {
    Unsigned,
    Signed,
    /// One byte, signed.
    Byte,
    Bit(u8),
}
use Raw::{Bit, Byte, Signed, Unsigned};

/// Key, offset, bytes, divisor.
pub(crate) type Row = (&'static str, usize, Raw, f64);

/// Length byte, offset of the serial number, rows.
pub(crate) type Packet = (u8, usize, &'static [Row]);

/// The confirmed packets. The frequency of 0x20 is documented, but not
/// published by the code of `mqtt-energi`; it is ours.
pub(crate) const CONFIRMED: &[Packet] = &[
    (
        0x1f,
        0x1e,
        &[
            ("frequency", 0x22, Unsigned, 100.0),
            ("diverted_kWh", 0x2c, Unsigned, 100.0),
            ("voltage", 0x32, Unsigned, 10.0),
        ],
    ),
    (
        0x20,
        0x1e,
        &[
            ("frequency", 0x22, Unsigned, 100.0),
            ("stopped", 0x25, Bit(7), 1.0),
            ("max_power", 0x26, Unsigned, 1.0),
            ("diverted_kWh", 0x2c, Unsigned, 100.0),
            ("boost", 0x2e, Bit(4), 1.0),
            ("heater1", 0x2f, Bit(0), 1.0),
            ("heater2", 0x2f, Bit(1), 1.0),
            ("divert_pwr", 0x34, Unsigned, 1.0),
            ("divert_cur", 0x36, Unsigned, 100.0),
        ],
    ),
    (
        0x22,
        0x2e,
        &[
            ("grid_pwr", 0x1e, Signed, 1.0),
            ("gen_pwr", 0x22, Signed, 1.0),
            ("divert_pwr", 0x32, Signed, 1.0),
        ],
    ),
];

/// Values that it decodes for debugging only. Here every key has its packet's prefix.
pub(crate) const EXPERIMENTAL: &[Packet] = &[
    (
        0x2b,
        0x1e,
        &[
            ("0x2B/frequency", 0x22, Unsigned, 100.0),
            ("0x2B/diverted_kWh", 0x2c, Unsigned, 100.0),
            ("0x2B/grid_pwr", 0x34, Signed, 1.0),
            ("0x2B/gen_pwr", 0x3c, Signed, 1.0),
            ("0x2B/divert_pwr", 0x41, Signed, 1.0),
        ],
    ),
    (
        0x27,
        0x1e,
        &[
            ("0x27/frequency", 0x22, Unsigned, 100.0),
            ("0x27/diverted_kWh", 0x2c, Unsigned, 100.0),
            ("0x27/fw1", 0x38, Signed, 1.0),
            ("0x27/fw2", 0x36, Signed, 1.0),
            ("0x27/v1", 0x3d, Byte, 1.0),
            ("0x27/v2", 0x3c, Byte, 1.0),
            ("0x27/v3", 0x3a, Signed, 1.0),
            ("0x27/v4", 0x34, Signed, 1.0),
            ("0x27/V5", 0x32, Signed, 1.0),
            ("0x27/v6", 0x30, Signed, 1.0),
            ("0x27/v7", 0x2e, Signed, 1.0),
        ],
    ),
    (
        0x36,
        0x4a,
        &[
            ("0x36/v1", 0x1c, Signed, 1.0),
            ("0x36/v2", 0x1e, Signed, 1.0),
            ("0x36/v3", 0x20, Signed, 1.0),
            ("0x36/v4", 0x22, Signed, 1.0),
            ("0x36/v5", 0x24, Signed, 1.0),
            ("0x36/v6", 0x30, Signed, 1.0),
            ("0x36/v7", 0x34, Signed, 1.0),
            ("0x36/v8", 0x36, Signed, 1.0),
            ("0x36/v9", 0x38, Signed, 1.0),
            ("0x36/v10", 0x3a, Signed, 1.0),
            ("0x36/v11", 0x3c, Signed, 1.0),
            ("0x36/v12", 0x3e, Signed, 1.0),
            ("0x36/v13", 0x40, Signed, 1.0),
            ("0x36/v14", 0x42, Signed, 1.0),
            ("0x36/v15", 0x44, Signed, 1.0),
            ("0x36/v16", 0x46, Signed, 1.0),
            ("0x36/v17", 0x48, Signed, 1.0),
        ],
    ),
    (
        0x37,
        0x1e,
        &[
            ("0x37/v1", 0x4d, Signed, 1.0),
            ("0x37/v2", 0x3c, Byte, 1.0),
            ("0x37/v3", 0x3a, Signed, 1.0),
            ("0x37/v4", 0x34, Signed, 1.0),
            ("0x37/V5", 0x32, Signed, 1.0),
            ("0x37/v6", 0x30, Signed, 1.0),
            ("0x37/v7", 0x2e, Signed, 1.0),
        ],
    ),
    (
        0x38,
        0x1e,
        &[
            ("0x38/v1", 0x20, Signed, 1.0),
            ("0x38/v2", 0x22, Signed, 1.0),
            ("0x38/v3", 0x24, Signed, 1.0),
            ("0x38/v4", 0x26, Signed, 1.0),
            ("0x38/v5", 0x28, Signed, 1.0),
            ("0x38/v6", 0x2a, Signed, 1.0),
            ("0x38/v7", 0x2c, Signed, 1.0),
            ("0x38/v8", 0x2e, Signed, 1.0),
            ("0x38/v9", 0x30, Signed, 1.0),
            ("0x38/v10", 0x32, Signed, 1.0),
            ("0x38/v11", 0x34, Signed, 1.0),
            ("0x38/v12", 0x36, Signed, 1.0),
            ("0x38/v13", 0x38, Signed, 1.0),
            ("0x38/v14", 0x3a, Signed, 1.0),
            ("0x38/v15", 0x3c, Signed, 1.0),
            ("0x38/v16", 0x3e, Signed, 1.0),
        ],
    ),
    (
        0x3a,
        0x1e,
        &[
            ("0x3A/v2", 0x22, Signed, 1.0),
            ("0x3A/v3", 0x24, Signed, 1.0),
            ("0x3A/v4", 0x26, Signed, 1.0),
            ("0x3A/v5", 0x28, Signed, 1.0),
            ("0x3A/v6", 0x2a, Signed, 1.0),
            ("0x3A/v7", 0x2c, Signed, 1.0),
            ("0x3A/v8", 0x2e, Signed, 1.0),
            ("0x3A/v9", 0x30, Signed, 1.0),
            ("0x3A/v10", 0x32, Signed, 1.0),
            ("0x3A/v11", 0x34, Signed, 1.0),
            ("0x3A/v12", 0x36, Signed, 1.0),
            ("0x3A/v13", 0x38, Signed, 1.0),
            ("0x3A/v14", 0x44, Signed, 1.0),
            ("0x3A/v15", 0x42, Signed, 1.0),
        ],
    ),
];

/// Offset of the payload in an Ethernet frame.
const PAYLOAD: usize = 14;

/// Every value of these packets in a capture by its topic, in order.
pub(crate) fn publishes(capture: &Path, packets: &[Packet]) -> BTreeMap<String, Vec<f64>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    let mut capture = ReplaySource::open(capture, Speed::Max).unwrap();
    while let Event::Packet(packet) = capture.next().unwrap() {
        assert_eq!(packet.link, Link::Ethernet);
        let bytes = &packet.bytes[PAYLOAD..];
        let Some((_, serial, rows)) = packets.iter().find(|(length, ..)| *length == bytes[0x18])
        else {
            continue;
        };
        let serial = u32::from_le_bytes(bytes[*serial..][..4].try_into().unwrap());
        let mut publish = |key: &str, value: f64| {
            topics.entry(format!("myenergi/{serial}/{key}")).or_default().push(value);
        };
        publish("serial", f64::from(serial));
        for (key, offset, raw, divisor) in *rows {
            let word = u16::from_le_bytes(bytes[*offset..][..2].try_into().unwrap());
            let value = match raw {
                Unsigned => f64::from(word),
                Signed => f64::from(word.cast_signed()),
                Byte => f64::from(bytes[*offset].cast_signed()),
                Bit(bit) => f64::from(word >> bit & 1),
            };
            publish(key, value / divisor);
        }
    }
    topics
}

/// The last value of a key, as text.
pub(crate) fn last(capture: &Path, key: &str) -> Option<String> {
    let topics = publishes(capture, CONFIRMED);
    let (_, values) = topics.into_iter().find(|(topic, _)| topic.ends_with(key))?;
    values.last().map(|value| format!("{value:?}"))
}
