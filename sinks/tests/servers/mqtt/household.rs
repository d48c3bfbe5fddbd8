//! Readings of a device, and a sink to give them to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use energi_decoders::{DecoderTable, Frame, Reading};
use energi_sinks::mqtt::MqttConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use support::mosquitto::{Listener, Mosquitto};

/// The device of most tests.
pub(crate) const SERIAL: u32 = 17_589_669;

/// Time so many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_781_956_800 + seconds).unwrap()
}

/// A reading of a record with these bytes at these offsets of the protocol.
pub(crate) fn reading(
    length: u8,
    time: Option<Timestamp>,
    bytes: &[(usize, &[u8])],
) -> Arc<Reading> {
    let mut payload = vec![0; 0x18 + usize::from(length)];
    payload[..4].copy_from_slice(&[0xcb, 0xda, 0xe9, 0xf8]);
    payload[0x18] = length;
    for (offset, bytes) in bytes {
        payload[*offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
    let mut reading = DecoderTable::confirmed().decode(&record).next().unwrap().unwrap();
    reading.time = time;
    Arc::new(reading)
}

/// CT readings of `serial`: grid, generation and divert power.
pub(crate) fn powers_of(serial: u32, seconds: i64, [grid, gen_, divert]: [i16; 3]) -> Arc<Reading> {
    reading(
        0x22,
        Some(at(seconds)),
        &[
            (0x1e, &grid.to_le_bytes()),
            (0x22, &gen_.to_le_bytes()),
            (0x2e, &serial.to_le_bytes()),
            (0x32, &divert.to_le_bytes()),
        ],
    )
}

pub(crate) fn powers(seconds: i64, powers: [i16; 3]) -> Arc<Reading> {
    powers_of(SERIAL, seconds, powers)
}

/// Returns what the diverter does: its flags stopped and boost, and its power.
pub(crate) fn diverter(seconds: i64, stopped: bool, boost: bool, power: u16) -> Arc<Reading> {
    reading(
        0x20,
        Some(at(seconds)),
        &[
            (0x1e, &SERIAL.to_le_bytes()),
            (0x22, &4_998_u16.to_le_bytes()),
            (0x25, &[u8::from(stopped) << 7]),
            (0x26, &3_000_u16.to_le_bytes()),
            (0x2c, &123_u16.to_le_bytes()),
            (0x2e, &[u8::from(boost) << 4]),
            (0x34, &power.to_le_bytes()),
        ],
    )
}

/// A sink's configuration: the broker, and what a test says beside it.
pub(crate) fn config(broker: &Mosquitto, more: &Value) -> MqttConfig {
    config_at(&broker.url(), more)
}

/// The same for a broker of any kind.
pub(crate) fn config_at(url: &str, more: &Value) -> MqttConfig {
    let mut config = json!({ "url": url, "discovery": false });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let config: MqttConfig = serde_json::from_value(config).unwrap();
    assert_eq!(config.validate(), []);
    config
}

pub(crate) fn context(backpressure: Backpressure) -> Context {
    let layouts = DecoderTable::confirmed().iter().map(|it| it.layout().clone()).collect();
    Context {
        name: "mqtt".to_owned(),
        site: None,
        timezone: TimeZone::UTC,
        device_names: Arc::new(BTreeMap::new()),
        only_devices: None,
        layouts,
        live: backpressure == Backpressure::DropOldest,
        backpressure,
        tariff: None,
        status: StatusHandle::default(),
    }
}

pub(crate) async fn open(
    broker: &Mosquitto,
    backpressure: Backpressure,
    more: &Value,
) -> Box<dyn Sink> {
    config(broker, more).open(&context(backpressure)).await.unwrap()
}

/// A topic of the device.
pub(crate) fn topic(last: &str) -> String {
    format!("myenergi/{SERIAL}/{last}")
}

/// Waits until something is so, while the sink goes on.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_mins(1), "it took too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the newest message of a topic is `payload`, while the sink goes on.
pub(crate) async fn hears(listener: &Listener, topic: &str, payload: &str) {
    eventually(&format!("{topic} is {payload}"), || {
        listener.of(topic).last().is_some_and(|newest| newest == payload)
    })
    .await;
}
