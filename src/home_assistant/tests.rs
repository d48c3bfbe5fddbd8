//! The app beside a Supervisor that answers as its public documentation says, and beside bad ones.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::*;

/// A Supervisor that answers one request.
struct Supervisor {
    url: String,
    request: JoinHandle<String>,
}

impl Supervisor {
    fn answering(status: &str, body: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (status, body) = (status.to_owned(), body.into());
        let request = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n").unwrap();
            write!(stream, "Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
            head
        });
        Self { url, request }
    }

    fn providing(broker: &Value) -> Self {
        Self::answering("200 OK", json!({"result": "ok", "data": broker}).to_string())
    }
}

/// An app with these options, whose Supervisor is at `url`.
fn app(folder: &TempDir, options: &Value, url: &str) -> HomeAssistantApp {
    let path = |name: &str| folder.path().join(name);
    fs::write(path("options.json"), options.to_string()).unwrap();
    HomeAssistantApp {
        own_config: path("config.yaml"),
        options: path("options.json"),
        supervisor: url.to_owned(),
        token: Some("secret-token".to_owned()),
        history: path("energi.db"),
    }
}

/// Returns what `check` prints of the configuration that the options make.
fn made(options: &Value, url: &str) -> Result<Value, HomeAssistantError> {
    let folder = TempDir::new().unwrap();
    let config = app(&folder, options, url).configuration()?;
    Ok(serde_yaml::from_str(&config.to_yaml().unwrap()).unwrap())
}

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn the_broker_is_the_one_that_the_supervisor_knows() {
    let broker = json!({"addon": "core_mosquitto", "host": "core-mosquitto", "port": "1883",
        "ssl": false, "username": "addons", "password": "pa$$word", "protocol": "3.1.1"});
    let supervisor = Supervisor::providing(&broker);
    let config = made(&json!({"interface": "end0"}), &supervisor.url).unwrap();
    assert_eq!(config["capture"]["interface"], "end0");
    let sinks: Vec<_> = config["sinks"].as_array().unwrap().iter().collect();
    assert_eq!(sinks[0]["type"], "sqlite");
    assert_eq!(sinks[1]["url"], "mqtt://core-mosquitto:1883");
    assert_eq!(sinks[1]["username"], "addons");
    // The page in the sidebar is for the Supervisor only.
    if BUILT.contains(&"web") {
        assert_eq!(sinks[2]["trusted_proxy"], json!(["172.30.32.2"]));
        assert_eq!(sinks[2]["username"], "supervisor");
        assert_eq!(sinks[2]["history"], sinks[0]["path"]);
    }
    let request = supervisor.request.join().unwrap().to_lowercase();
    assert!(request.starts_with("get /services/mqtt "), "{request}");
    assert!(request.contains("authorization: bearer secret-token\r\n"), "{request}");
}

#[test]
fn an_encrypted_broker_of_the_supervisor_is_used() {
    let supervisor = Supervisor::providing(&json!({"host": "broker", "port": 8883, "ssl": true}));
    let config =
        made(&json!({"interface": "eth0", "history": false, "web": false}), &supervisor.url)
            .unwrap();
    assert_eq!(config["sinks"][0]["url"], "mqtts://broker:8883");
}

#[test]
fn without_a_broker_the_error_says_what_to_install() {
    let answer = json!({"result": "error", "message": "Service not enabled"}).to_string();
    let supervisor = Supervisor::answering("400 Bad Request", answer);
    let error = made(&json!({"interface": "eth0"}), &supervisor.url).unwrap_err();
    assert!(matches!(error, HomeAssistantError::NoBroker(_)), "{error}");
    assert!(error.to_string().contains("Mosquitto"), "{error}");
    assert_eq!(Failure::from(error).exit, Exit::Unavailable);
}

#[test]
fn a_failing_supervisor_is_an_error_that_says_so() {
    let refused = json!({"result": "error", "message": "no access"}).to_string();
    for (status, body) in [
        ("403 Forbidden", refused.as_str()),
        ("401 Unauthorized", "401: Unauthorized"),
        ("502 Bad Gateway", "<html>Bad Gateway</html>"),
        ("200 OK", "{\"result\": \"ok\", \"data\": {\"host\": 7}}"),
        ("200 OK", ""),
    ] {
        let supervisor = Supervisor::answering(status, body);
        let error = made(&json!({"interface": "eth0"}), &supervisor.url).unwrap_err();
        assert!(matches!(error, HomeAssistantError::Supervisor(_)), "{status} {body}: {error}");
        assert!(!error.to_string().contains("secret-token"), "{error}");
    }
    let error = made(&json!({"interface": "eth0"}), NOWHERE).unwrap_err();
    assert!(matches!(error, HomeAssistantError::Supervisor(_)), "{error}");
}

#[test]
fn the_supervisor_is_asked_only_for_its_broker() {
    let config = made(&json!({"interface": "eth0", "mqtt": false, "web": false}), NOWHERE).unwrap();
    assert_eq!(config["sinks"].as_array().unwrap().len(), 1);
    let options = json!({"interface": "eth0", "mqtt_url": "mqtt://192.168.1.10:1883",
        "mqtt_username": "a$b", "mqtt_password": "p", "topic": "energy"});
    let config = made(&options, NOWHERE).unwrap();
    assert_eq!(config["sinks"][1]["url"], "mqtt://192.168.1.10:1883");
    assert_eq!(config["sinks"][1]["topic"], "energy");
    assert_eq!(config["sinks"][1]["username"], "a$$b", "a dollar stays one");
}

#[test]
fn every_option_reaches_the_configuration() {
    let options = json!({"interface": "eth0", "mqtt": false, "only_listed": true,
        "history_days": 7, "experimental": ["0x27"],
        "devices": [{"serial": 17_589_669, "name": "Hot water"}]});
    let config = made(&options, NOWHERE).unwrap();
    assert_eq!(config["devices"]["only_listed"], true);
    assert_eq!(config["devices"]["list"][0]["name"], "Hot water");
    assert_eq!(config["decoders"]["experimental"]["0x27"], true);
    assert_eq!(config["sinks"][0]["retention"]["samples"], "7d");
}

#[test]
fn a_wrong_option_is_named() {
    let options = json!({"interface": "eth0", "mqtt": false, "experimental": ["0x99"]});
    let error = made(&options, NOWHERE).unwrap_err();
    assert!(error.to_string().contains("0x99"), "{error}");
    let error = Failure::from(error);
    assert_eq!(error.exit, Exit::Config);
}

#[test]
fn a_configuration_of_the_owners_replaces_the_options() {
    let folder = TempDir::new().unwrap();
    let app = app(&folder, &json!({"interface": "eth0"}), NOWHERE);
    fs::write(&app.own_config, "capture: {type: simulator}\nsinks: [{type: stdout}]\n").unwrap();
    assert!(!app.configuration().unwrap().capture.is_live());
}

#[test]
fn outside_the_app_the_error_says_so() {
    let app = HomeAssistantApp { options: "/nonexistent/options.json".into(), ..missing() };
    let error = app.configuration().unwrap_err();
    assert!(error.to_string().contains("Home Assistant app"), "{error}");
}

fn missing() -> HomeAssistantApp {
    let nowhere = Path::new("/nonexistent");
    HomeAssistantApp {
        own_config: nowhere.join("config.yaml"),
        options: nowhere.join("options.json"),
        supervisor: NOWHERE.to_owned(),
        token: None,
        history: nowhere.join("energi.db"),
    }
}

/// The app's manifest and its translations.
fn shipped(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/home-assistant").join(file);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_page_of_the_app_has_every_option() {
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let manifest = shipped("config.yaml");
    let read = keys(&serde_json::to_value(Options::default()).unwrap());
    assert_eq!(keys(&manifest["schema"]), read);
    assert_eq!(keys(&shipped("translations/en.yaml")["configuration"]), read);
    assert!(keys(&manifest["options"]).is_subset(&read));

    // Its defaults are a configuration, once there is an interface and a broker.
    let mut options = manifest["options"].clone();
    options["interface"] = "eth0".into();
    let supervisor = Supervisor::providing(&json!({"host": "core-mosquitto", "port": 1883}));
    made(&options, &supervisor.url).unwrap();
}
