//! What `mqtt-energi` publishes, from the byte tables of the protocol's notes alone: nothing of this
//! project's decoders is used.

use std::collections::BTreeMap;
use std::path::Path;

use energi_gateway::capture::replay::Replay;
use energi_gateway::capture::{Event, Link, Source};
use energi_gateway::config::Speed;

/// How a value lies in the bytes.
#[derive(Clone, Copy)]
enum Raw {
    Unsigned,
    Signed,
    Bit(u8),
}
use Raw::{Bit, Signed, Unsigned};

/// Key, offset, bytes, divisor.
type Row = (&'static str, usize, Raw, f64);

/// Length byte, offset of the serial number, rows. The frequency of 0x20 is documented, but not
/// published by the code of `mqtt-energi`; it is ours.
const TABLE: &[(u8, usize, &[Row])] = &[
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

/// Where the payload of an Ethernet frame begins.
const PAYLOAD: usize = 14;

/// Every value of a capture by its topic, in order.
pub(crate) fn publishes(capture: &Path) -> BTreeMap<String, Vec<f64>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    let mut capture = Replay::open(capture, Speed::Max).unwrap();
    while let Event::Packet(packet) = capture.next().unwrap() {
        assert_eq!(packet.link, Link::Ethernet);
        let bytes = &packet.bytes[PAYLOAD..];
        let Some((_, serial, rows)) = TABLE.iter().find(|(length, ..)| *length == bytes[0x18])
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
                Bit(bit) => f64::from(word >> bit & 1),
            };
            publish(key, value / divisor);
        }
    }
    topics
}

/// The last value of a key, as text.
pub(crate) fn last(capture: &Path, key: &str) -> Option<String> {
    let topics = publishes(capture);
    let (_, values) = topics.into_iter().find(|(topic, _)| topic.ends_with(key))?;
    values.last().map(|value| format!("{value:?}"))
}
