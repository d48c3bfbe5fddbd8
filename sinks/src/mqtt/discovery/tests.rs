//! Announcements to Home Assistant: content and time.

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
fn live_values_expire_after_three_times_what_may_lie_between_two_of_them() {
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
fn a_device_is_named_by_the_configuration_or_else_by_its_serial_number() {
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
fn an_unconfirmed_metric_joins_once_its_packet_is_heard() {
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
fn values_are_said_again_once_home_assistant_listens_to_them() {
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
fn devices_are_announced_again_at_each_connect_and_when_home_assistant_has_started() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    let first = house.publishes();

    house.announcer.connected(std::iter::empty(), house.now);
    assert_eq!(house.announcer.due(), Some(house.now), "at once");
    assert_eq!(house.publishes(), first);

    for (payload, announced) in [("offline", 0), ("online", 1)] {
        house.announcer.hear("homeassistant/status", payload.as_bytes(), false, house.now);
        assert!(house.announcer.due().is_none_or(|due| due > house.now), "others answer too");
        assert_eq!(house.publishes().len(), announced, "{payload}");
    }
}

#[test]
fn announcements_survive_a_restart_and_those_of_decoders_switched_off_are_taken_back() {
    let plan = || HouseRules { experimental: &[0x27, 0x36], ..HouseRules::default() };
    let mut house = plan().build();
    for length in [0x22, 0x27, 0x36] {
        house.sends(SERIAL, length);
    }
    let kept = house.publishes();

    let mut same = plan().build();
    same.recalls(&kept);
    assert_eq!(same.publishes(), kept, "although only one packet was heard so far");
    assert_eq!(same.announcer.unheard().collect::<Vec<_>>(), [SERIAL]);
    same.sends(SERIAL, 0x22);
    assert_eq!(same.announcer.unheard().count(), 0);

    let mut less = HouseRules { experimental: &[0x36], ..HouseRules::default() }.build();
    less.recalls(&kept);
    let messages = less.publishes();
    let [taken_back, clean] = &messages[..] else { panic!("{messages:?}") };
    let taken_back = announcement(taken_back);
    assert_eq!(taken_back.components()["0x27_v5"], json!({"p": "sensor"}));
    assert_eq!(ids(&taken_back).len(), confirmed().len() + 11 + 17);
    assert_eq!(ids(&announcement(clean)).len(), confirmed().len() + 17);
    assert!(taken_back.text.find("0x27_v5") < taken_back.text.find("grid_pwr"), "first of all");

    // A kill between the two: the rest is made up for.
    let mut again = HouseRules { experimental: &[0x36], ..HouseRules::default() }.build();
    again.recalls(&messages[..1]);
    assert_eq!(again.publishes(), messages);
}

#[test]
fn an_entity_that_becomes_one_of_another_kind_is_taken_back_first() {
    let pump = |kind: Value| {
        let mut field = json!({"key": "pump", "offset": "0x2E"});
        field.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let pump = custom(json!({"length": "0x2C", "name": "pump", "fields": [field]}));
        HouseRules { custom: vec![pump], ..HouseRules::default() }.build()
    };
    let mut number = pump(json!({"type": "u8"}));
    number.sends(SERIAL, 0x2C);
    let kept = number.publishes();

    let mut flag = pump(json!({"bit": 4}));
    flag.recalls(&kept);
    let messages = flag.publishes();
    let [taken_back, anew] = &messages[..] else { panic!("{messages:?}") };
    let taken_back = announcement(taken_back);
    assert_eq!(taken_back.components()["0x2c_pump"], json!({"p": "sensor"}));
    assert_eq!(taken_back.text.matches("\"0x2c_pump\"").count(), 1, "{}", taken_back.text);
    let anew = announcement(anew);
    assert_eq!(anew.components()["0x2c_pump"]["p"], json!("binary_sensor"));
    anew.hold_to_the_rules();
}

#[test]
fn what_has_to_be_taken_back_is_known_before_the_first_announcement_overwrites_it() {
    let mut house = HouseRules { experimental: &[0x36], ..HouseRules::default() }.build();
    house.sends(SERIAL, 0x36);
    let kept = house.publishes();

    let mut less = HouseRules::default().build();
    less.announcer.connected(std::iter::empty(), less.now);
    less.sends(SERIAL, 0x22);
    let at_once = less.announcer.act(less.now).map(|announcement| announcement.messages);
    assert_eq!(at_once.unwrap_or_default(), [], "the broker comes first");
    less.recalls(&kept);
    let first = less.publishes().remove(0);
    assert_eq!(announcement(&first).components()["0x36_v1"], json!({"p": "sensor"}));
}

#[test]
fn a_device_that_is_no_longer_let_in_is_taken_back() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    house.sends(7, 0x22);
    let kept = house.publishes();

    let mut fewer = HouseRules { only: Some(&[SERIAL]), ..HouseRules::default() }.build();
    fewer.recalls(&kept);
    let messages = fewer.publishes();
    let emptied: Vec<_> = messages
        .iter()
        .filter(|message| message.payload.is_empty() && message.retain)
        .map(|message| message.topic.as_str())
        .collect();
    assert_eq!(emptied, ["homeassistant/device/energi_7/config", "myenergi/7/availability"]);
    assert_eq!(messages.last(), kept.last(), "the other one stays");
}

#[test]
fn what_others_have_announced_is_left_alone() {
    let mut other =
        HouseRules { config: json!({"topic": "myenergi2"}), ..HouseRules::default() }.build();
    other.sends(7, 0x22);
    let mut kept = other.publishes();
    let mut foreign = kept[0].clone();
    foreign.payload = foreign.payload.replace("energi-gateway", "another program");
    kept.push(foreign);
    for (topic, payload) in [
        ("homeassistant/device/energi_7/config", ""),
        ("homeassistant/device/energi_7/config", "[1"),
        ("homeassistant/device/energi_7/config", r#"{"o":{"name":"energi-gateway"},"cmps":{}}"#),
        ("homeassistant/device/energi_x/config", r#"{"cmps":{}}"#),
        ("homeassistant/device/zigbee/config", "{}"),
    ] {
        kept.push(Message::lasting(topic.to_owned(), payload));
    }
    let mut house = HouseRules { only: Some(&[SERIAL]), ..HouseRules::default() }.build();
    house.recalls(&kept);
    assert_eq!(house.publishes(), []);
    assert_eq!(house.announcer.unheard().count(), 0);

    // Nor is our own message taken for one that the broker had kept.
    house.sends(SERIAL, 0x22);
    let ours = house.publishes().remove(0);
    house.announcer.hear(&ours.topic, ours.payload.as_bytes(), false, house.now);
    assert_eq!(house.publishes(), []);
}

#[test]
fn a_short_run_still_says_everything() {
    let mut house = HouseRules::default().build();
    house.sends(SERIAL, 0x22);
    assert_eq!(house.announcer.finish(house.now).len(), 1);
    assert_eq!(house.announcer.finish(house.now), []);
}

fn in_style(style: &str) -> House {
    let config = json!({"discovery": {"style": style}});
    HouseRules { config, experimental: &[0x27], ..HouseRules::default() }.build()
}

#[test]
fn for_brokers_with_small_limits_each_entity_is_announced_by_itself() {
    let mut whole = in_style("device");
    whole.sends(SERIAL, 0x22);
    let whole = whole.announces();

    let mut house = in_style("components");
    house.sends(SERIAL, 0x22);
    let messages = house.publishes();
    assert_eq!(messages.len(), whole.components().len());
    for message in &messages {
        assert!(message.retain && message.payload.len() < 1_024, "{message:?}");
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        let [_, platform, device, id, _] = message.topic.split('/').collect::<Vec<_>>()[..] else {
            panic!("{message:?}")
        };
        assert_eq!(device, "energi_17589669");
        let of_device = &whole.components()[id];
        assert_eq!(of_device["p"], platform);
        for (key, value) in of_device.as_object().unwrap().iter().filter(|(key, _)| *key != "p") {
            assert_eq!(payload[key], *value, "{id}: {key}");
        }
        for key in ["dev", "o", "availability_mode", "qos"] {
            assert_eq!(payload[key], whole.payload[key], "{id}: {key}");
        }
        assert!(!payload["availability"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_change_of_style_moves_the_announcements_and_leaves_none_twice() {
    for (from, to) in [("device", "components"), ("components", "device")] {
        let mut before = in_style(from);
        before.sends(SERIAL, 0x27);
        let kept = before.publishes();

        let mut after = in_style(to);
        after.recalls(&kept);
        let messages = after.publishes();
        let place = |topic: &str, payload: fn(&str) -> bool| {
            messages.iter().position(|it| it.topic == topic && payload(&it.payload)).unwrap()
        };
        let announced = messages.iter().position(|it| it.payload.len() > 100).unwrap();
        for old in &kept {
            // Home Assistant keeps the settings of what moves, and forgets the old place after it.
            assert!(place(&old.topic, |payload| payload.contains("migrate")) < announced);
            assert!(place(&old.topic, str::is_empty) > announced);
        }
        let moved: BTreeSet<_> = messages.iter().map(|it| it.topic.as_str()).collect();
        let mut straight = in_style(to);
        straight.sends(SERIAL, 0x27);
        let news: Vec<_> = straight.publishes();
        assert!(!news.is_empty() && news.iter().all(|it| moved.contains(&*it.topic)), "{from}");
        assert_eq!(after.publishes(), [], "and that is all");
    }
}

#[test]
fn an_entity_that_is_switched_off_is_emptied_where_each_has_its_own_message() {
    let mut house = in_style("components");
    house.sends(SERIAL, 0x27);
    let kept = house.publishes();
    let config = json!({"discovery": {"style": "components"}});
    let mut less = HouseRules { config, ..HouseRules::default() }.build();
    less.recalls(&kept);
    let messages = less.publishes();
    let emptied = messages.iter().filter(|it| it.payload.is_empty());
    let emptied: Vec<_> = emptied.map(|it| it.topic.as_str()).collect();
    assert!(emptied.contains(&"homeassistant/sensor/energi_17589669/0x27_v5/config"));
    assert!(emptied.iter().all(|topic| topic.contains("/0x27_")), "{emptied:?}");
}

#[test]
fn only_an_announcement_that_somebody_has_emptied_needs_repair() {
    for style in ["device", "components"] {
        let mut house = in_style(style);
        house.sends(SERIAL, 0x22);
        let own = house.publishes();
        let mut hears = |topic: &str, payload: &str, retained| {
            house.announcer.hear(topic, payload.as_bytes(), retained, house.now)
        };
        assert!(hears(&own[0].topic, "", false));
        assert!(!hears(&own[0].topic, "", true));
        assert!(!hears(&own[0].topic, "{}", false), "another gateway has other options");
        assert!(!hears("homeassistant/device/energi_7/config", "", false));
        assert!(!hears("homeassistant/sensor/energi_17589669/gone/config", "", false));
    }
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
fn a_harvi_names_the_device_that_relays_it_once_that_is_announced_and_comes_after_it() {
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
fn a_zappi_that_sends_the_powers_of_the_house_is_no_eddi() {
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
