//! Both styles: one announcement a device, or one an entity.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{House, HouseRules, SERIAL};

fn in_style(style: &str) -> House {
    let config = json!({"discovery": {"style": style}});
    HouseRules { config, experimental: &[0x27], ..HouseRules::default() }.build()
}

#[test]
fn in_style_components_each_entity_has_its_message() {
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
fn a_change_of_style_announces_nothing_twice() {
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
fn in_style_components_a_lost_entity_is_emptied() {
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
fn only_an_emptied_announcement_needs_repair() {
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
