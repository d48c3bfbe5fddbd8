//! Home Assistant's rules for a device discovery message, each with the page that it stands on.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// A discovery message as it was published.
pub struct Announcement {
    pub topic: String,
    pub text: String,
    pub payload: Object,
}

struct Rule {
    says: &'static str,
    source: &'static str,
    /// Returns what breaks it.
    faults: fn(&Announcement) -> Vec<String>,
}

const MQTT: &str = "https://www.home-assistant.io/integrations/mqtt/";
const SENSOR_MQTT: &str = "https://www.home-assistant.io/integrations/sensor.mqtt/";
const BINARY_MQTT: &str = "https://www.home-assistant.io/integrations/binary_sensor.mqtt/";
const SENSOR: &str = "https://www.home-assistant.io/integrations/sensor/#device-class";
const BINARY: &str = "https://www.home-assistant.io/integrations/binary_sensor/#device-class";
const SENSOR_ENTITY: &str = "https://developers.home-assistant.io/docs/core/entity/sensor";
const ENTITY: &str = "https://developers.home-assistant.io/docs/core/entity";

const RULES: &[Rule] = &[
    Rule {
        says: "the topic is <prefix>/device/<object_id>/config, ids of [a-zA-Z0-9_-]",
        source: MQTT,
        faults: |it| {
            let levels: Vec<_> = it.topic.rsplitn(4, '/').collect();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            match levels[..] {
                ["config", object_id, "device", prefix]
                    if !prefix.is_empty() && object_id.chars().all(plain) =>
                {
                    Vec::new()
                }
                _ => vec![it.topic.clone()],
            }
        },
    },
    Rule {
        says: "a message has device, origin and components, and only options that exist",
        source: MQTT,
        faults: |it| {
            let known = ["dev", "o", "cmps", "availability", "availability_mode", "qos"];
            let missing =
                ["dev", "o", "cmps"].into_iter().filter(|key| !it.payload[*key].is_object());
            let strange = it.payload.keys().filter(|key| !known.contains(&key.as_str()));
            missing.map(str::to_owned).chain(strange.cloned()).collect()
        },
    },
    Rule {
        says: "a device has an identifier, and only options that exist",
        source: MQTT,
        faults: |it| {
            let device = object(&it.payload["dev"]);
            let known = [
                "ids",
                "name",
                "mf",
                "mdl",
                "sn",
                "sw",
                "hw",
                "suggested_area",
                "via_device",
                "configuration_url",
            ];
            let strange = device.keys().filter(|key| !known.contains(&key.as_str())).cloned();
            let named = device["ids"].as_array().is_some_and(|ids| !ids.is_empty());
            strange.chain((!named).then(|| "no identifier".to_owned())).collect()
        },
    },
    Rule {
        says: "an origin has a name, and may have a version and a URL to ask for help at",
        source: MQTT,
        faults: |it| {
            let origin = object(&it.payload["o"]);
            let named = !text(origin, "name").is_empty() && !text(origin, "sw").is_empty();
            let url = text(origin, "url");
            let linked = origin
                .get("url")
                .is_none_or(|_| url.starts_with("https://") && url.len() > "https://".len());
            if named && linked { Vec::new() } else { vec![format!("{origin:?}")] }
        },
    },
    Rule {
        says: "a component has a platform, a unique id that no other has, and one option more",
        source: MQTT,
        faults: |it| {
            let mut ids = BTreeSet::new();
            each(it, |component| {
                let known = matches!(text(component, "p"), "sensor" | "binary_sensor");
                let alone = ids.insert(text(component, "unique_id").to_owned());
                known && alone && component.len() > 2 && component.contains_key("unique_id")
            })
        },
    },
    Rule {
        says: "only options that exist: others are passed over without a word",
        source: SENSOR_MQTT,
        faults: |it| {
            const COMMON: &[&str] = &[
                "p",
                "unique_id",
                "default_entity_id",
                "name",
                "state_topic",
                "device_class",
                "entity_category",
                "enabled_by_default",
                "expire_after",
                "availability",
            ];
            const SENSOR: &[&str] =
                &["state_class", "unit_of_measurement", "suggested_display_precision", "options"];
            const BINARY: &[&str] = &["payload_on", "payload_off"];
            each(it, |component| {
                let own = if is_sensor(component) { SENSOR } else { BINARY };
                component.keys().all(|key| COMMON.contains(&&**key) || own.contains(&&**key))
            })
        },
    },
    Rule {
        says: "default_entity_id includes the domain, its id is of [a-z0-9_]; object_id is ignored \
               since 2026.4",
        source: SENSOR_MQTT,
        faults: |it| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            each(it, |component| {
                let id = text(component, "default_entity_id").split_once('.');
                id.is_some_and(|(domain, id)| {
                    domain == text(component, "p") && !id.is_empty() && id.chars().all(plain)
                }) && !component.contains_key("object_id")
            })
        },
    },
    Rule {
        says: "each entity has a name of its own: the device's is put before it",
        source: MQTT,
        faults: |it| {
            let device = text(object(&it.payload["dev"]), "name").to_lowercase();
            let mut names = BTreeSet::new();
            each(it, |component| {
                let name = text(component, "name").to_lowercase();
                !name.is_empty() && !name.starts_with(&device) && names.insert(name)
            })
        },
    },
    Rule {
        says: "a device class takes certain units",
        source: SENSOR,
        faults: |it| {
            each(it, |component| {
                let unit = component.get("unit_of_measurement").and_then(Value::as_str);
                !is_sensor(component)
                    || match text(component, "device_class") {
                        "frequency" => unit == Some("Hz"),
                        "voltage" => unit == Some("V"),
                        "current" => unit == Some("A"),
                        "power" => unit == Some("W"),
                        "energy" => unit == Some("kWh"),
                        "temperature" => unit == Some("°C"),
                        "duration" => matches!(unit, Some("s" | "min" | "h")),
                        "enum" => unit.is_none(),
                        "" => unit != Some(""),
                        _ => false,
                    }
            })
        },
    },
    Rule {
        says: "a binary sensor has one of the known classes or none, and the payloads it is sent",
        source: BINARY,
        faults: |it| {
            each(it, |component| {
                is_sensor(component)
                    || (matches!(text(component, "device_class"), "running" | "problem" | "")
                        && text(component, "payload_on") == "1"
                        && text(component, "payload_off") == "0")
            })
        },
    },
    Rule {
        says: "a counter that begins again each day is total_increasing, without last_reset; what is \
               measured is measurement; an energy never is",
        source: SENSOR_ENTITY,
        faults: |it| {
            each(it, |component| {
                let class = text(component, "device_class");
                match text(component, "state_class") {
                    "total_increasing" => class == "energy",
                    "measurement" => !matches!(class, "energy" | "enum"),
                    // No statistics: an energy that starts again at unknown times among them.
                    "" => true,
                    _ => false,
                }
            })
        },
    },
    Rule {
        says: "an enum lists its options, and has neither unit nor state class",
        source: SENSOR_ENTITY,
        faults: |it| {
            each(it, |component| {
                let options = component.get("options").and_then(Value::as_array);
                match text(component, "device_class") {
                    "enum" => {
                        options.is_some_and(|options| !options.is_empty())
                            && !component.contains_key("state_class")
                            && !component.contains_key("unit_of_measurement")
                    }
                    _ => options.is_none(),
                }
            })
        },
    },
    Rule {
        says: "a sensor is of the category diagnostic or of none",
        source: ENTITY,
        faults: |it| {
            each(it, |component| matches!(text(component, "entity_category"), "" | "diagnostic"))
        },
    },
    Rule {
        says: "what is left out until asked for is a diagnostic",
        source: ENTITY,
        faults: |it| {
            each(it, |component| {
                component.get("enabled_by_default") != Some(&Value::Bool(false))
                    || text(component, "entity_category") == "diagnostic"
            })
        },
    },
    Rule {
        says: "all of several topics have to say that an entity is available only with the mode all",
        source: MQTT,
        faults: |it| {
            let topics = availability(&it.payload);
            let both = topics.len() == 2
                && topics[0].ends_with("/bridge/state")
                && topics[1].ends_with("/availability");
            let all = it.payload["availability_mode"] == "all";
            if both && all { Vec::new() } else { vec![format!("{topics:?}")] }
        },
    },
    Rule {
        says: "what stays true while its device is silent follows the gateway alone and does not \
               expire: a counter, and the word that the device is silent",
        source: SENSOR_ENTITY,
        faults: |it| {
            let bridge = availability(&it.payload).into_iter().take(1).collect::<Vec<_>>();
            each(it, |component| {
                let own = component.contains_key("availability");
                let silent = text(component, "unique_id").ends_with("problem_silent");
                if text(component, "state_class") == "total_increasing" || silent {
                    availability(component) == bridge && !component.contains_key("expire_after")
                } else {
                    !own
                }
            })
        },
    },
    Rule {
        says: "expire_after is a whole number of seconds",
        source: SENSOR_MQTT,
        faults: |it| {
            each(it, |component| {
                let expiry = component.get("expire_after");
                expiry.is_none_or(|expiry| expiry.as_u64().is_some_and(|seconds| seconds > 0))
            })
        },
    },
    Rule {
        says: "a state topic has no wildcards and stands below the gateway's own",
        source: BINARY_MQTT,
        faults: |it| {
            let bridge = availability(&it.payload).remove(0);
            let base = bridge.strip_suffix("bridge/state").unwrap_or_default();
            let serial = text(object(&it.payload["dev"]), "sn");
            each(it, |component| {
                let topic = text(component, "state_topic");
                topic.starts_with(&format!("{base}{serial}/")) && !topic.contains(['+', '#'])
            })
        },
    },
];

impl Announcement {
    pub fn new(topic: &str, text: &str) -> Self {
        let payload = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Self { topic: topic.to_owned(), text: text.to_owned(), payload }
    }

    /// Fails, naming each rule that is broken and its page.
    pub fn hold_to_the_rules(&self) {
        let broken: Vec<String> = RULES
            .iter()
            .map(|rule| (rule, (rule.faults)(self)))
            .filter(|(_, faults)| !faults.is_empty())
            .map(|(rule, faults)| {
                format!("{}\n  {}\n  broken by {faults:?}", rule.says, rule.source)
            })
            .collect();
        assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), self.text);
    }

    /// The entities by id.
    pub fn components(&self) -> &Object {
        object(&self.payload["cmps"])
    }
}

/// The ids of the components for which a rule does not hold.
fn each(it: &Announcement, mut holds: impl FnMut(&Object) -> bool) -> Vec<String> {
    let components = it.components().iter();
    components
        .filter(|(_, component)| !holds(object(component)))
        .map(|(id, _)| id.clone())
        .collect()
}

fn is_sensor(component: &Object) -> bool {
    text(component, "p") == "sensor"
}

fn object(value: &Value) -> &Object {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn availability(object: &Object) -> Vec<String> {
    let list = object.get("availability").and_then(Value::as_array);
    let topics =
        list.into_iter().flatten().map(|entry| entry["topic"].as_str().unwrap_or_default());
    topics.map(str::to_owned).collect()
}
