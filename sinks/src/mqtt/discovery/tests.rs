//! Announcements to Home Assistant: content and time.

mod style;
mod taken_back;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::custom::CustomDecoder;
use energi_decoders::{Decoder, Field, Frame, Layout, Product, TableDecoder, Trust, packets};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Announcer, Message};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::energy;
use crate::mqtt::topics::Topics;
use crate::sink::{Backpressure, Context};
use crate::status::StatusHandle;

use support::discovery_rules::Announcement;

const SERIAL: u32 = 17_589_669;
const CONFIG: &str = "homeassistant/device/energi_17589669/config";

/// Longer than anything is gathered or kept apart.
const LATER: Duration = Duration::from_secs(10);

/// A gateway's discovery, at a time of its own.
struct House {
    announcer: Announcer,
    layouts: Arc<[Layout]>,
    now: Instant,
}

/// Configuration of a house.
struct HouseRules<'a> {
    config: Value,
    experimental: &'a [u8],
    custom: Vec<CustomDecoder>,
    only: Option<&'a [u32]>,
}

impl Default for HouseRules<'_> {
    fn default() -> Self {
        Self { config: json!({}), experimental: &[], custom: Vec::new(), only: None }
    }
}

impl HouseRules<'_> {
    fn build(self) -> House {
        let mut config = self.config;
        config["url"] = json!("mqtt://broker");
        let config: MqttConfig = serde_json::from_value(config).unwrap();
        let confirmed = |layout: &&Layout| layout.status == Trust::Confirmed;
        let on = |layout: &&Layout| {
            confirmed(layout) || {
                layout.length.is_some_and(|length| self.experimental.contains(&length))
            }
        };
        let built_in = packets::all().filter(on).cloned();
        let custom = self.custom.iter().map(|custom| custom.layout().unwrap());
        let context = Context {
            name: "mqtt".to_owned(),
            site: Some("home".to_owned()),
            timezone: jiff::tz::TimeZone::UTC,
            device_names: Arc::new([(SERIAL, "Hot water".to_owned())].into()),
            only_devices: self.only.map(|only| Arc::new(only.iter().copied().collect())),
            layouts: built_in.chain(custom).collect(),
            live: true,
            backpressure: Backpressure::DropOldest,
            tariff: None,
            status: StatusHandle::default(),
        };
        let layouts = Arc::clone(&context.layouts);
        let announcer = Announcer::new(&config, &Topics::new(&config.topic), &context).unwrap();
        House { announcer, layouts, now: Instant::now() }
    }
}

impl House {
    /// A device sends a packet.
    fn sends(&mut self, serial: u32, length: u8) {
        let of_length = self.layouts.iter().filter(|layout| layout.length == Some(length));
        // One whose keys have the prefix of their length comes before one with a name.
        let own = |layout: &&Layout| layout.prefix() != format!("0x{length:02X}");
        let layout = of_length.min_by_key(own).unwrap().clone();
        self.sends_as(serial, &layout, None);
    }

    /// A device sends a record of this layout, perhaps through another device.
    fn sends_as(&mut self, serial: u32, layout: &Layout, relay: Option<u32>) {
        let length = layout.length.unwrap();
        let mut payload = vec![0; 0x18 + usize::from(length)];
        payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        payload[0x18] = length;
        payload[usize::from(layout.serial)..][..4].copy_from_slice(&serial.to_le_bytes());
        if let (Some(relay), Some(offset)) = (relay, layout.relay) {
            payload[usize::from(offset)..][..4].copy_from_slice(&relay.to_le_bytes());
        }
        let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
        let reading = TableDecoder::new(layout.clone()).decode(&record).unwrap();
        self.announcer.observe(&reading, self.now);
    }

    /// Everything that is published in the next seconds.
    fn publishes(&mut self) -> Vec<Message> {
        let end = self.now + LATER;
        let mut messages = Vec::new();
        while let Some(due) = self.announcer.due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            messages.extend(self.announcer.act(self.now).unwrap().messages);
        }
        self.now = end;
        messages
    }

    /// The broker hands over what it has kept.
    fn recalls(&mut self, messages: &[Message]) {
        for message in messages {
            self.announcer.hear(&message.topic, message.payload.as_bytes(), true, self.now);
        }
    }

    fn announces(&mut self) -> Announcement {
        let messages = self.publishes();
        let [message] = &messages[..] else { panic!("not one message: {messages:?}") };
        announcement(message)
    }
}

fn announcement(message: &Message) -> Announcement {
    assert!(message.retain, "Home Assistant may start later");
    Announcement::new(&message.topic, &message.payload)
}

fn custom(json: Value) -> CustomDecoder {
    serde_json::from_value(json).unwrap()
}

fn boiler() -> CustomDecoder {
    custom(json!({
        "length": "0x2C", "name": "boiler",
        "fields": [
            {"key": "tank_temp", "offset": "0x30", "type": "i16", "divide": 10, "unit": "°C"},
            {"key": "Busy-now", "offset": "0x2E", "bit": 4},
        ],
    }))
}

fn ids(announcement: &Announcement) -> Vec<&str> {
    announcement.components().keys().map(String::as_str).collect()
}

/// Ids of the entities that every eddi has.
fn confirmed() -> Vec<String> {
    let confirmed = packets::all()
        .filter(|layout| layout.status == Trust::Confirmed && layout.product == Product::Eddi);
    let fields = confirmed.flat_map(|layout| layout.fields.iter()).map(Field::key);
    let keys = fields.chain(["status"]).chain(energy::KEYS).map(str::to_lowercase);
    keys.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_device_is_announced_as_the_golden_file_has_it() {
    let mut house =
        HouseRules { experimental: &[0x2B], custom: vec![boiler()], ..HouseRules::default() }
            .build();
    for length in [0x22, 0x2B, 0x2C] {
        house.sends(SERIAL, length);
    }
    let announced = house.announces();
    assert_eq!(announced.topic, CONFIG);
    let shown = serde_json::to_string_pretty(&announced.payload).unwrap() + "\n";
    let shown = shown.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/device.json");
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(shown, golden);
}

#[test]
fn whatever_is_announced_keeps_home_assistants_rules() {
    let every: Vec<u8> = packets::all().filter_map(|layout| layout.length).chain([0x2C]).collect();
    for config in [
        json!({}),
        json!({"topic": "a/b", "discovery": {"prefix": "ha/x"}, "qos": 1}),
        json!({"interval": 0, "heartbeat": "1500ms"}),
        json!({"interval": 0, "heartbeat": 0}),
    ] {
        let plan = HouseRules { config, experimental: &every, custom: vec![boiler()], only: None };
        let mut house = plan.build();
        for length in &every {
            house.sends(SERIAL, *length);
            house.sends(1, *length);
        }
        let messages = house.publishes();
        assert_eq!(messages.len(), 2);
        for message in messages {
            announcement(&message).hold_to_the_rules();
            // More than a packet may have by default, which is set higher; a broker may have a
            // limit too.
            assert!((10 * 1024..64 * 1024).contains(&message.payload.len()), "{message:?}");
        }
    }
}

#[test]
fn ids_are_the_keys_in_lower_case() {
    let mut house = HouseRules { experimental: &[0x27], ..HouseRules::default() }.build();
    house.sends(SERIAL, 0x22);
    house.sends(SERIAL, 0x27);
    let announced = house.announces();
    let of = |id: &str, key: &str| announced.components()[id][key].as_str().unwrap().to_owned();
    assert_eq!(of("diverted_kwh", "unique_id"), "energi_17589669_diverted_kwh");
    assert_eq!(of("diverted_kwh", "state_topic"), "myenergi/17589669/diverted_kWh");
    assert_eq!(of("0x27_v5", "unique_id"), "energi_17589669_0x27_v5");
    assert_eq!(of("0x27_v5", "default_entity_id"), "sensor.energi_17589669_0x27_v5");
    assert_eq!(of("0x27_v5", "state_topic"), "myenergi/17589669/0x27/V5");
}

#[test]
fn live_values_expire_after_three_intervals() {
    for (config, expected) in [
        (json!({}), json!(180)),
        (json!({"interval": "5m"}), json!(900)),
        (json!({"interval": 0}), json!(180)),
        (json!({"interval": 0, "heartbeat": "500ms"}), json!(2)),
        // Nothing says when the next one comes.
        (json!({"interval": 0, "heartbeat": 0}), Value::Null),
    ] {
        let mut house = HouseRules { config, ..HouseRules::default() }.build();
        house.sends(SERIAL, 0x22);
        let announced = house.announces();
        assert_eq!(announced.components()["grid_pwr"]["expire_after"], expected);
        assert_eq!(announced.components()["stopped"]["expire_after"], expected);
        assert_eq!(announced.components()["diverted_kwh"]["expire_after"], Value::Null);
    }
}

#[test]
fn a_device_without_a_name_has_its_serial_number() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    house.sends(7, 0x22);
    let named: Vec<_> = house.publishes().iter().map(announcement).collect();
    let device = |index: usize, key: &str| named[index].payload["dev"][key].clone();
    assert_eq!((device(0, "name"), device(0, "sn")), (json!("eddi 7"), json!("7")));
    assert_eq!((device(1, "name"), device(1, "sn")), (json!("Hot water"), json!("17589669")));
    assert_eq!(device(0, "suggested_area"), json!("home"));
}

#[test]
fn an_unconfirmed_metric_joins_with_its_packet() {
    let mut house = HouseRules { experimental: &[0x27, 0x36], ..HouseRules::default() }.build();
    house.sends(SERIAL, 0x1F);
    assert_eq!(ids(&house.announces()), confirmed());

    house.sends(SERIAL, 0x1F);
    assert_eq!(house.publishes(), [], "there is nothing new");

    house.sends(SERIAL, 0x36);
    let announced = house.announces();
    assert_eq!(ids(&announced).len(), confirmed().len() + 17);
    assert!(ids(&announced).iter().all(|id| !id.starts_with("0x27")));
}

#[test]
fn values_are_repeated_once_home_assistant_listens() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    let first = house.announcer.due().unwrap();
    let announcement = house.announcer.act(first).unwrap();
    assert_eq!((announcement.messages.len(), announcement.values), (1, true));
    let second = house.announcer.due().unwrap();
    assert!(second > first + Duration::from_secs(1));
    let values = super::Announcement { messages: Vec::new(), values: true, asked: false };
    assert_eq!(house.announcer.act(second), Some(values));
    assert_eq!(house.announcer.due(), None);
}

#[test]
fn devices_are_announced_again_at_each_connect() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    let first = house.publishes();

    house.announcer.connected(std::iter::empty(), house.now);
    assert_eq!(house.announcer.due(), Some(house.now), "at once");
    assert_eq!(house.publishes(), first);
}

#[test]
fn devices_are_announced_when_home_assistant_starts() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    house.publishes();
    for (payload, announced) in [("offline", 0), ("online", 1)] {
        house.announcer.hear("homeassistant/status", payload.as_bytes(), false, house.now);
        assert!(house.announcer.due().is_none_or(|due| due > house.now), "others answer too");
        assert_eq!(house.publishes().len(), announced, "{payload}");
    }
}

#[test]
fn a_short_run_still_says_everything() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    assert_eq!(house.announcer.finish(house.now).len(), 1);
    assert_eq!(house.announcer.finish(house.now), []);
}

#[test]
fn problems_are_announced_where_they_are_asked_for() {
    let config = json!({"problems": true});
    let mut house = HouseRules { config, ..HouseRules::default() }.build();
    house.sends(SERIAL, 0x22);
    let announced = house.announces();
    announced.hold_to_the_rules();
    let problems = announced.components().values();
    let problems: Vec<_> = problems.filter(|it| it["device_class"] == "problem").collect();
    assert_eq!(problems.len(), crate::mqtt::problems::KEYS.len());
    let silent = &announced.components()["problem_silent"];
    assert_eq!(silent["availability"].as_array().unwrap().len(), 1, "true while it is silent");
}

/// The first layout of a product that is on in a house.
fn layout_of(house: &House, product: Product) -> Layout {
    house.layouts.iter().find(|layout| layout.product == product).unwrap().clone()
}

#[test]
fn a_harvi_names_the_device_that_relays_it() {
    const HARVI: u32 = 7;
    let rules = || HouseRules { experimental: &[0x18], ..HouseRules::default() }.build();
    let mut house = rules();
    let harvi = layout_of(&house, Product::Harvi);
    house.sends_as(HARVI, &harvi, Some(SERIAL));
    let alone = house.announces();
    assert_eq!(alone.payload["dev"]["mdl"], "harvi");
    assert!(alone.payload["dev"].get("via_device").is_none());
    assert_eq!(alone.components().len(), harvi.fields.len(), "and nothing of an eddi");
    alone.hold_to_the_rules();

    house.sends(SERIAL, 0x22);
    let messages = house.publishes();
    let [eddi, harvi] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(eddi.topic, CONFIG);
    let harvi = announcement(harvi);
    assert_eq!(harvi.payload["dev"]["via_device"], "energi_17589669");
    harvi.hold_to_the_rules();

    // It is the same device after a restart, before it has been received.
    let mut same = rules();
    same.recalls(&messages);
    assert_eq!(same.publishes(), messages);
}

#[test]
fn a_zappi_that_sends_house_powers_is_no_eddi() {
    let mut house = HouseRules::default().build();
    let zappi = layout_of(&house, Product::Zappi);
    house.sends_as(7, &zappi, None);
    let announced = house.announces();
    assert_eq!(announced.payload["dev"]["mdl"], "zappi");
    assert_eq!(announced.payload["dev"]["name"], "zappi 7");
    let keys = zappi.fields.iter().map(Field::key).chain(energy::KEYS).map(str::to_lowercase);
    assert_eq!(ids(&announced), keys.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    announced.hold_to_the_rules();
}
