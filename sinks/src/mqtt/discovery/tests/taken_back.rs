//! Earlier announcements: what is kept, taken back, or left to others.

use serde_json::{Value, json};

use super::{CONFIG, HouseRules, Message, SERIAL, announcement, confirmed, custom, ids};

/// Rules of a house with two experimental decoders.
fn two_decoders() -> HouseRules<'static> {
    HouseRules { experimental: &[0x27, 0x36], ..HouseRules::default() }
}

/// Announcements that such a house leaves on its broker.
fn left_behind() -> Vec<Message> {
    let mut house = two_decoders().build();
    for length in [0x22, 0x27, 0x36] {
        house.sends(SERIAL, length);
    }
    house.publishes()
}

#[test]
fn announcements_survive_a_restart() {
    let kept = left_behind();
    let mut same = two_decoders().build();
    same.recalls(&kept);
    assert_eq!(same.publishes(), kept, "although only one packet was heard so far");
    assert_eq!(same.announcer.unheard().collect::<Vec<_>>(), [SERIAL]);
    same.sends(SERIAL, 0x22);
    assert_eq!(same.announcer.unheard().count(), 0);
}

#[test]
fn entities_of_a_decoder_switched_off_are_taken_back() {
    let kept = left_behind();
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
fn an_entity_of_a_new_kind_is_taken_back_first() {
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
    let [taken_back, again] = &messages[..] else { panic!("{messages:?}") };
    let taken_back = announcement(taken_back);
    assert_eq!(taken_back.components()["0x2c_pump"], json!({"p": "sensor"}));
    assert_eq!(taken_back.text.matches("\"0x2c_pump\"").count(), 1, "{}", taken_back.text);
    let again = announcement(again);
    assert_eq!(again.components()["0x2c_pump"]["p"], json!("binary_sensor"));
    again.hold_to_the_rules();
}

#[test]
fn old_entities_are_known_before_the_first_message() {
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
    let topics = ["homeassistant/device/energi_7/config", "myenergi/7/availability"];
    assert_eq!(emptied(&messages), topics);
    assert_eq!(messages.last(), kept.last(), "the other one stays");
}

/// Topics of the messages that empty something on the broker.
fn emptied(messages: &[Message]) -> Vec<&str> {
    let emptied = messages.iter().filter(|message| message.payload.is_empty() && message.retain);
    emptied.map(|message| message.topic.as_str()).collect()
}

#[test]
fn a_device_that_no_decoder_knows_is_taken_back() {
    let mut house = two_decoders().build();
    house.sends(SERIAL, 0x36);
    let kept = house.publishes();

    let mut without = HouseRules::default().build();
    without.recalls(&kept);
    let messages = without.publishes();
    assert_eq!(emptied(&messages), [CONFIG, "myenergi/17589669/availability"]);
    assert_eq!(messages.len(), 2);
    assert_eq!(without.announcer.unheard().count(), 0);

    // It sends something else before that is published: it is online.
    let mut without = HouseRules::default().build();
    without.recalls(&kept);
    without.sends(SERIAL, 0x22);
    let messages = without.publishes();
    assert_eq!(emptied(&messages), [CONFIG]);
    assert_eq!(ids(&announcement(messages.last().unwrap())), confirmed());
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
