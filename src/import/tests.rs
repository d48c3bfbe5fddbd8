use std::path::Path;

use energi_decoders::Switch;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

const SHIPPED: &str = "\
[NETWORK]
nic = eno1

[MQTT]
broker = 10.87.90.6
port = 1883
topic = myenergi-test
id = Myenergi-Bridge-1
user =
pass =

[DEBUG]
enabled = False
";

fn imported(text: &str) -> Result<Imported, String> {
    import(text, Path::new("config.ini"), None).map_err(|errors| errors.to_string())
}

fn config(yaml: &str) -> Config {
    config::parse(yaml, Path::new("config.yaml"), &|_| None)
        .unwrap_or_else(|errors| panic!("{errors}\n{yaml}"))
}

/// The mqtt sink of the configuration that becomes of `text`.
fn sink(text: &str) -> Value {
    let imported = imported(text).unwrap_or_else(|errors| panic!("{errors}"));
    serde_json::to_value(&config(&imported.yaml).sinks[0]).unwrap()
}

/// The file with a line of its own below `[MQTT]`.
fn with(line: &str) -> String {
    SHIPPED.replace("topic =", &format!("{line}\ntopic ="))
}

#[test]
fn the_file_of_mqtt_energi_becomes_a_configuration() {
    let imported = imported(SHIPPED).unwrap();
    let config = config(&imported.yaml);
    let capture = serde_json::to_value(&config.capture).unwrap();
    assert_eq!(capture, json!({"type": "live", "interface": "eno1", "promiscuous": false}));
    let sink = serde_json::to_value(&config.sinks[0]).unwrap();
    assert_eq!(sink["url"], "mqtt://10.87.90.6:1883");
    assert_eq!(sink["topic"], "myenergi-test");
    assert_eq!(sink["client_id"], "Myenergi-Bridge-1");
    assert!(sink.get("username").is_none() && sink.get("password").is_none());
    assert!(config.decoders.experimental.values().all(|on| !on));
    assert!(imported.left_out.is_empty());
    assert_eq!(config.sinks.len(), 1);
}

#[test]
fn debug_switches_experimental_decoders_on() {
    for word in ["True", "yes", "ON", "1"] {
        let text = SHIPPED.replace("False", word);
        let config = config(&imported(&text).unwrap().yaml);
        let of_mqtt_energi = |switch: &Switch| matches!(switch, Switch::Length(_));
        let experimental = config.decoders.experimental;
        assert!(experimental.iter().all(|(switch, on)| *on == of_mqtt_energi(switch)), "{word}");
    }
}

#[test]
fn what_a_file_need_not_say_is_the_default() {
    let text = "[NETWORK]\nnic = eth0\n[MQTT]\nbroker = broker\n";
    let sink = sink(text);
    assert_eq!(sink["url"], "mqtt://broker:1883");
    assert_eq!(sink["topic"], "myenergi");
    assert!(sink.get("client_id").is_none());
}

#[test]
fn a_value_is_taken_over_as_mqtt_energi_takes_it() {
    for (from, to, key, expected) in [
        ("broker = 10.87.90.6", "BROKER: fd00::6", "url", "mqtt://[fd00::6]:1883"),
        ("port = 1883", "port = 8884", "url", "mqtt://10.87.90.6:8884"),
        ("[MQTT]", "  [MQTT] the broker", "topic", "myenergi-test"),
        ("topic = myenergi-test", "topic = a/$b: {c}", "topic", "a/$b: {c}"),
        ("id = Myenergi-Bridge-1", "id = 0123", "client_id", "0123"),
        ("user =", "user = 100%% me # you", "username", "100% me # you"),
        ("user =", "user = \"me\"", "username", "\"me\""),
    ] {
        let text = SHIPPED.replace(from, to);
        assert_ne!(text, SHIPPED);
        for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            assert_eq!(sink(&text)[key], expected, "{to}");
        }
    }
}

#[test]
fn a_password_may_be_kept_apart() {
    let text = SHIPPED.replace("user =", "user = me").replace("pass =", "pass = ${HOME}#1");
    let here = imported(&text).unwrap();
    assert!(here.yaml.contains("    password: $${HOME}#1\n"), "{}", here.yaml);
    assert!(here.password.is_none());
    config(&here.yaml);

    let apart = import(&text, Path::new("config.ini"), Some("/etc/secret")).unwrap();
    assert!(!apart.yaml.contains("HOME"), "{}", apart.yaml);
    assert!(apart.yaml.contains("    password_file: /etc/secret\n"), "{}", apart.yaml);
    assert_eq!(apart.password.unwrap().expose(), "${HOME}#1");
    config(&apart.yaml);
}

#[test]
fn what_is_left_out_is_said_with_its_place() {
    let left_out = |text: &str| {
        let imported = imported(text).unwrap();
        let faults = imported.left_out.into_iter();
        faults.map(|fault| (fault.position.unwrap().0, fault.path)).collect::<Vec<_>>()
    };
    assert_eq!(left_out(&with("qos = 1")), [(7, "[MQTT] qos".to_owned())]);
    assert_eq!(left_out(&format!("{SHIPPED}[HA]\nurl = x\n")), [(15, "[HA] url".to_owned())]);
    assert_eq!(left_out(&SHIPPED.replace("pass =", "pass = x")), [(10, "[MQTT] pass".to_owned())]);
}

#[test]
fn every_error_is_reported_with_its_place() {
    let (nic, broker) = (":2:1: [NETWORK] nic: ", ":5:1: [MQTT] broker: ");
    let (port, topic) = (":6:1: [MQTT] port: ", ":7:1: [MQTT] topic: ");
    for (from, to, place, word) in [
        ("nic = eno1", "", ": [NETWORK] nic: ", "mqtt-energi"),
        ("nic = eno1", "nic =", nic, "mqtt-energi"),
        ("nic = eno1", "nic", nic, "missing"),
        ("nic = eno1", " nic = a/b", ":2:2: [NETWORK] nic: ", "a/b"),
        ("broker = 10.87.90.6", "broker = tcp://x", broker, "address"),
        ("broker = 10.87.90.6", "broker = me:pw@host", broker, "address"),
        ("broker = 10.87.90.6", "broker = host:1884", broker, "address"),
        ("port = 1883", "port = mqtt", port, "65535"),
        ("port = 1883", "port = 0", port, "65535"),
        ("topic = myenergi-test", "topic = a/#", topic, ""),
        ("topic = myenergi-test", "topic = a\n  b", topic, "value"),
        ("user =", "user = 50%", ":9:1: [MQTT] user: ", "`%`"),
        ("user =", "user = %(id)s", ":9:1: [MQTT] user: ", "another setting"),
        ("user =", "id = x", ":9:1: [MQTT] id: ", "twice"),
        ("enabled = False", "enabled = maybe", ":13:1: [DEBUG] enabled: ", "True"),
        ("[DEBUG]", "[DEBUG", ":12:1: ", "`]`"),
    ] {
        let text = SHIPPED.replace(from, to);
        let said = imported(&text).unwrap_err();
        assert!(said.starts_with(&format!("config.ini{place}")), "{to}: {said}");
        assert!(said.contains(word), "{to}: {said}");
    }
    let said = imported("").unwrap_err();
    assert!(said.contains("nic: ") && said.contains("broker: "), "{said}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\\[\\]=:#;%$\\n\\r\\t ])*") {
        drop(imported(&text));
        drop(imported(&format!("{SHIPPED}{text}")));
        drop(imported(&with(&text)));
    }

    #[test]
    fn any_text_that_fits_in_a_line_comes_through(text in "\\PC{1,60}", apart: bool) {
        let text = text.trim();
        let written = text.replace('%', "%%");
        let file = SHIPPED.replace("user =", &format!("user = {written}"));
        let file = file.replace("pass =", &format!("pass = {written}"));
        let place = apart.then_some("/etc/secret");
        let imported = import(&file, Path::new("config.ini"), place).unwrap();
        let sink = serde_json::to_value(&config(&imported.yaml).sinks[0]).unwrap();
        if !text.is_empty() {
            prop_assert_eq!(&sink["username"], text);
        }
        if apart && !text.is_empty() {
            let secret = imported.password.unwrap();
            prop_assert_eq!(secret.expose(), text);
        }
    }
}
