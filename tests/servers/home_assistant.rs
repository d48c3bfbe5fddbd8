//! Messages to Home Assistant of a running gateway, through a real broker, and how they are taken
//! back.

#![cfg(feature = "mqtt")]

use std::fs::File;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use support::discovery_rules::Announcement;
use support::gateway::{Sandbox, stderr, stdout};
use support::mosquitto::{Heard, Listener, Mosquitto, retained, until};
use support::process::{self, Running};

/// The serial numbers of a simulated house.
const EDDIS: [u32; 2] = [17_589_669, 17_590_682];

fn config_topic(serial: u32) -> String {
    format!("homeassistant/device/energi_{serial}/config")
}

/// A configuration with two simulated eddis, where a minute passes in a second.
fn house(broker: &Mosquitto, options: &str, more: &str) -> String {
    format!(
        "site: home\n\
         capture: {{type: simulator, devices: 2, speed: 60}}\n\
         sinks: [{{type: mqtt, url: \"{}\", {options}}}]\n{more}",
        broker.url()
    )
}

/// A running gateway and its folder.
struct House {
    sandbox: Sandbox,
    gateway: Option<Running>,
}

impl House {
    fn of(configuration: &str) -> Self {
        let mut house = Self { sandbox: Sandbox::new(), gateway: None };
        house.moves_to(configuration);
        house
    }

    /// Starts the gateway (again).
    fn moves_to(&mut self, configuration: &str) {
        self.stops();
        self.sandbox.write("config.yaml", configuration);
        let log = File::options().create(true).append(true).open(self.sandbox.path("log")).unwrap();
        let mut command = self.sandbox.program(&["run"]);
        command.stdout(Stdio::null()).stderr(log);
        self.gateway = Some(Running(command.spawn().unwrap()));
    }

    /// Stops it as a service manager does.
    fn stops(&mut self) {
        let Some(mut running) = self.gateway.take() else { return };
        let id = rustix::process::Pid::from_child(&running.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(running.0.wait().unwrap().success());
    }

    fn cleans(&self) -> Output {
        self.sandbox.run(&["mqtt", "clean", "--yes"])
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.sandbox.path("log")).unwrap_or_default());
        }
    }
}

/// Waits until `find` finds what it looks for among what was heard.
fn find<T>(listener: &Listener, what: &str, find: impl Fn(&[Heard]) -> Option<T>) -> T {
    listener.wait(what, |heard| find(heard).is_some());
    find(&listener.heard()).unwrap()
}

/// Waits for the next message on a topic.
fn next(listener: &Listener, topic: &str) -> Heard {
    find(listener, topic, |heard| heard.iter().find(|heard| heard.topic == topic).cloned())
}

/// Somebody else retains a message.
fn retain(broker: &Mosquitto, topic: &str, payload: &str) {
    let listener = broker.listen();
    listener.publish(topic, payload, true);
    listener.wait_for(topic, payload);
}

/// The announcements of a device that were heard.
fn announcements(heard: &[Heard], serial: u32) -> Vec<Announcement> {
    let topic = config_topic(serial);
    let of_it = heard.iter().filter(|heard| heard.topic == topic && !heard.payload.is_empty());
    of_it.map(|heard| Announcement::new(&heard.topic, &heard.payload)).collect()
}

/// The topics of all messages that a broker keeps.
fn kept(broker: &Mosquitto) -> Vec<String> {
    let mut topics: Vec<_> = retained(broker, "").into_iter().map(|heard| heard.topic).collect();
    topics.sort();
    topics
}

/// Everything that a house with two eddis leaves on a broker.
fn everything() -> Vec<String> {
    let mut topics = EDDIS.map(config_topic).to_vec();
    topics.extend(EDDIS.map(|serial| format!("myenergi/{serial}/availability")));
    topics.push("myenergi/bridge/state".to_owned());
    topics
}

#[test]
fn every_entity_of_every_eddi_gets_a_value() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let _house = House::of(&house(&broker, "", "decoders: {experimental: {\"0x36\": true}}\n"));
    for serial in EDDIS {
        let announcement = find(&listener, "0x36 is announced", |heard| {
            let mut of_it = announcements(heard, serial).into_iter();
            of_it.find(|announcement| announcement.components().contains_key("0x36_v17"))
        });
        announcement.hold_to_the_rules();
        for component in announcement.components().values() {
            let topic = component["state_topic"].as_str().unwrap();
            let value = next(&listener, topic);
            assert!(!value.retained, "{topic}");
            match component["p"].as_str().unwrap() {
                "binary_sensor" => assert!(matches!(&*value.payload, "0" | "1"), "{value:?}"),
                _ if topic.ends_with("/status") => {
                    let options = component["options"].as_array().unwrap();
                    assert!(options.contains(&json!(value.payload)), "{value:?}");
                }
                _ => drop(value.payload.parse::<f64>().unwrap()),
            }
        }
        for topic in availability(&announcement.payload["availability"]) {
            listener.wait_for(&topic, "online");
        }
    }
    // Nobody who comes later may take an old value for a new one.
    assert_eq!(kept(&broker), everything());
}

fn availability(list: &Value) -> Vec<String> {
    let topics = list.as_array().unwrap().iter().map(|entry| entry["topic"].as_str().unwrap());
    topics.map(str::to_owned).collect()
}

#[test]
fn the_devices_survive_a_restart_of_either_side() {
    let Some(mut broker) = Mosquitto::start() else { return };
    let _house = House::of(&house(&broker, "", ""));
    let all_kept = |broker: &Mosquitto| {
        until("everything is kept", || kept(broker) == everything());
    };
    all_kept(&broker);

    // It has forgotten everything.
    broker.kill();
    broker.run();
    all_kept(&broker);

    // Home Assistant has started: it hears of the devices, and then their values.
    let listener = broker.listen();
    listener.forget();
    listener.publish("homeassistant/status", "online", false);
    listener.wait("the devices, then their values", |heard| {
        let place = |topic: &str| heard.iter().position(|heard| heard.topic == topic);
        let devices = EDDIS.map(|serial| place(&config_topic(serial)));
        let voltage = |heard: &Heard| heard.topic.ends_with("/voltage");
        let last =
            devices.into_iter().collect::<Option<Vec<_>>>().and_then(|it| it.into_iter().max());
        last.is_some_and(|last| heard.iter().skip(last).filter(|it| voltage(it)).count() >= 2)
    });
}

#[test]
fn only_what_is_switched_off_disappears() {
    let Some(broker) = Mosquitto::start() else { return };
    let foreign = json!({"o": {"name": "another"}, "cmps": {"a": {"p": "sensor"}}}).to_string();
    let listener = broker.listen();
    for topic in ["homeassistant/device/energi_1/config", "homeassistant/device/other/config"] {
        retain(&broker, topic, &foreign);
    }
    let on = "decoders: {experimental: {\"0x27\": true}}\n";
    let mut house_of = House::of(&house(&broker, "", on));
    for serial in EDDIS {
        listener.wait("0x27 is announced", |heard| {
            let of_it = announcements(heard, serial);
            of_it.iter().any(|announcement| announcement.components().contains_key("0x27_v5"))
        });
    }

    let [stays, goes] = EDDIS;
    let only = format!("devices: {{only_listed: true, list: [{{serial: {stays}}}]}}\n");
    listener.forget();
    house_of.moves_to(&house(&broker, "", &only));
    let last = find(&listener, "0x27 is taken back", |heard| {
        let removed = json!({"p": "sensor"});
        let mut of_it = announcements(heard, stays).into_iter();
        of_it.find(|announcement| announcement.components().get("0x27_v5") == Some(&removed))?;
        of_it.find(|announcement| !announcement.text.contains("0x27"))
    });
    last.hold_to_the_rules();
    listener.wait_for(&config_topic(goes), "");
    let expected = [
        "homeassistant/device/energi_1/config".to_owned(),
        config_topic(stays),
        "homeassistant/device/other/config".to_owned(),
        format!("myenergi/{stays}/availability"),
        "myenergi/bridge/state".to_owned(),
    ];
    assert_eq!(kept(&broker), expected);
}

#[test]
fn a_message_too_large_does_not_end_the_connection() {
    let Some(broker) = Mosquitto::start() else { return };
    retain(&broker, &config_topic(EDDIS[0]), &"x".repeat(1 << 20));
    let listener = broker.listen();
    let _house = House::of(&house(&broker, "", ""));
    for serial in EDDIS {
        next(&listener, &config_topic(serial));
        next(&listener, &format!("myenergi/{serial}/voltage"));
    }
}

#[test]
fn clean_removes_everything_the_sinks_left() {
    let (Some(one), Some(other)) = (Mosquitto::start(), Mosquitto::start()) else { return };
    let foreign = ["homeassistant/device/other/config", "myenergi/42/temperature"];
    for topic in foreign {
        retain(&one, topic, "{}");
    }
    let sinks = |discovery: &str| {
        format!(
            "capture: {{type: simulator, devices: 2, speed: 60}}\n\
             sinks:\n\
             - {{type: stdout}}\n\
             - {{type: mqtt, name: one, url: \"{}\"}}\n\
             - {{type: mqtt, name: other, url: \"{}\", topic: a/b, {discovery}}}\n",
            one.url(),
            other.url()
        )
    };
    let mut house = House::of(&sinks("retain: true, discovery: false"));
    until("everything is kept", || kept(&one).len() == everything().len() + foreign.len());
    until("values are kept", || kept(&other).contains(&format!("a/b/{}/voltage", EDDIS[1])));
    house.stops();
    // What is there also of a time before, with discovery.
    let own = kept(&other).len();

    let output = house.cleans();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    let lines = |name: &str| said.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!((lines("one: removed "), lines("other: removed ")), (everything().len(), own));
    assert!(said.contains("one: removed myenergi/bridge/state\n"), "{said}");
    assert_eq!((kept(&one), kept(&other)), (foreign.map(str::to_owned).to_vec(), Vec::new()));

    let again = house.cleans();
    assert!(again.status.success());
    let said = stdout(&again);
    let names: Vec<_> = said.lines().map(|line| line.split_once(": nothing ").unwrap().0).collect();
    assert_eq!(names, ["one", "other"]);
}

#[test]
fn clean_goes_on_after_a_failure() {
    let Some(broker) = Mosquitto::start() else { return };
    retain(&broker, "myenergi/bridge/state", "online");
    let sandbox = Sandbox::new();
    let sinks = |list: String| format!("capture: {{type: simulator}}\nsinks: [{list}]\n");
    sandbox.write(
        "config.yaml",
        sinks(format!(
            "{{type: mqtt, name: gone, url: \"mqtt://127.0.0.1:{}\"}}, {{type: mqtt, url: \"{}\"}}",
            process::free_port(),
            broker.url()
        )),
    );
    let output = sandbox.run(&["mqtt", "clean"]);
    assert_eq!(output.status.code(), Some(64), "nobody can be asked here");
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
    let output = sandbox.run(&["mqtt", "clean", "--yes"]);
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(stdout(&output), "mqtt: removed myenergi/bridge/state\n");
    let said = stderr(&output);
    assert!(said.contains("sink `gone`: ") && said.contains("broker"), "{said}");
    assert!(said.contains("stop it"), "{said}");

    let path = sandbox.write("other.yaml", sinks("{type: stdout}".to_owned()));
    let output = sandbox.run(&["mqtt", "clean", "--yes", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("type mqtt"), "{}", stderr(&output));
}
