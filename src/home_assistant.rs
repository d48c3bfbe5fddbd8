//! The configuration of the Home Assistant app: made of the options that its page has, and of the
//! broker that the Supervisor knows.
//!
//! A configuration of the owner's in the app's folder takes the place of all of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use energi_sinks::registry::BUILT;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::config::{self, Config, ConfigErrors};
use crate::doctor::{InterfaceInfo, InterfaceKind};
use crate::platform::exit::{Exit, Failure};

/// The Supervisor answers from memory; longer means that it does not answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Paths that the app needs.
#[derive(Debug, Clone)]
pub struct HomeAssistantApp {
    /// The owner's configuration. If it exists, the options do not matter.
    pub own_config: PathBuf,
    /// The options, as the Supervisor writes them.
    pub options: PathBuf,
    /// The URL of the Supervisor's API.
    pub supervisor: String,
    /// The token for that API.
    pub token: Option<String>,
    /// The history's file.
    pub history: PathBuf,
}

/// Reason why the app has no configuration.
#[derive(Debug, Error)]
pub enum HomeAssistantError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The options cannot be read.
    #[error("cannot read {path}: {reason}; `--home-assistant` is for the Home Assistant app only")]
    Options {
        /// File of the options.
        path: PathBuf,
        /// Problem.
        reason: String,
    },
    /// The Supervisor cannot be asked, or gives no usable answer.
    #[error(
        "cannot ask the Supervisor for the MQTT broker: {0}; restart the app, or set `mqtt_url`"
    )]
    Supervisor(String),
    /// Home Assistant has no broker.
    #[error(
        "Home Assistant has no MQTT broker ({0}): install and start the Mosquitto broker app, set \
         `mqtt_url` for another broker, or switch `mqtt` off"
    )]
    NoBroker(String),
    /// No interface can be chosen.
    #[error("set `interface`: this machine has no wired interface, but {0}")]
    NoInterface(String),
}

/// The options of the app's page. The Supervisor has checked their types.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the app's page")]
struct Options {
    interface: Option<String>,
    devices: Vec<Map<String, Value>>,
    only_listed: bool,
    experimental: Vec<String>,
    history: bool,
    history_days: u32,
    web: bool,
    mqtt: bool,
    mqtt_url: Option<String>,
    mqtt_username: Option<String>,
    mqtt_password: Option<String>,
    topic: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interface: None,
            devices: Vec::new(),
            only_listed: false,
            experimental: Vec::new(),
            history: true,
            history_days: 30,
            web: true,
            mqtt: true,
            mqtt_url: None,
            mqtt_username: None,
            mqtt_password: None,
            topic: None,
        }
    }
}

/// An answer of the Supervisor's API.
#[derive(Deserialize)]
struct Answer {
    result: String,
    message: Option<String>,
    data: Option<Value>,
}

/// The broker that the Supervisor knows.
#[derive(Deserialize)]
struct Broker {
    host: String,
    port: Port,
    #[serde(default)]
    ssl: bool,
    username: Option<String>,
    password: Option<String>,
}

/// Documented as a text, and seen as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl From<HomeAssistantError> for Failure {
    fn from(error: HomeAssistantError) -> Self {
        let exit = match &error {
            HomeAssistantError::Config(_) | HomeAssistantError::NoInterface(_) => Exit::Config,
            HomeAssistantError::Options { .. } => Exit::NoInput,
            HomeAssistantError::Supervisor(_) | HomeAssistantError::NoBroker(_) => {
                Exit::Unavailable
            }
        };
        Self::new(exit, error)
    }
}

impl HomeAssistantApp {
    /// The places in the app's container.
    #[must_use]
    pub fn installed() -> Self {
        Self {
            own_config: "/config/config.yaml".into(),
            options: "/data/options.json".into(),
            supervisor: "http://supervisor".to_owned(),
            token: std::env::var("SUPERVISOR_TOKEN").ok(),
            history: "/data/energi.db".into(),
        }
    }

    /// The configuration to run with.
    ///
    /// # Errors
    /// [`HomeAssistantError`] says what is missing or wrong, and what to do about it.
    pub fn configuration(&self) -> Result<Config, HomeAssistantError> {
        if self.own_config.exists() {
            return Ok(config::load(&self.own_config)?);
        }
        let options = self.read_options()?;
        let mut sinks = Vec::new();
        if options.history {
            let retention = format!("{}d", options.history_days);
            sinks.push(json!({
                "type": "sqlite", "path": self.history, "retention": {"samples": retention},
            }));
        }
        if options.mqtt {
            sinks.push(self.mqtt(&options)?);
        }
        if let Some(token) = &self.token
            && options.web
            && BUILT.contains(&"web")
        {
            sinks.push(self.web(token, options.history));
        }
        let interface = match options.interface {
            Some(name) => name,
            None => wired_interface()?,
        };
        let experimental: Map<_, _> =
            options.experimental.into_iter().map(|name| (name, Value::Bool(true))).collect();
        let mut made = json!({
            "capture": {"type": "live", "interface": interface},
            "devices": {"only_listed": options.only_listed, "list": options.devices},
            "decoders": {"experimental": experimental},
            "sinks": sinks,
        });
        escape(&mut made);
        // JSON is YAML.
        config::parse(&made.to_string(), &self.options, &|_| None).map_err(|mut errors| {
            // Places in a text that nobody has seen.
            errors.faults.iter_mut().for_each(|fault| fault.position = None);
            errors.into()
        })
    }

    fn read_options(&self) -> Result<Options, HomeAssistantError> {
        let unreadable =
            |reason: String| HomeAssistantError::Options { path: self.options.clone(), reason };
        let text =
            fs::read_to_string(&self.options).map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    fn mqtt(&self, options: &Options) -> Result<Value, HomeAssistantError> {
        let (url, username, password) = if let Some(url) = &options.mqtt_url {
            (url.clone(), options.mqtt_username.clone(), options.mqtt_password.clone())
        } else {
            let broker = self.broker()?;
            let scheme = if broker.ssl { "mqtts" } else { "mqtt" };
            let port = match broker.port {
                Port::Number(port) => port.to_string(),
                Port::Text(port) => port,
            };
            (format!("{scheme}://{}:{port}", broker.host), broker.username, broker.password)
        };
        let mut sink = json!({"type": "mqtt", "url": url});
        let given = [("username", &username), ("password", &password), ("topic", &options.topic)];
        for (key, value) in given {
            // The Supervisor has an empty text where there is none.
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                sink[key] = Value::from(value.as_str());
            }
        }
        Ok(sink)
    }

    /// The page that Home Assistant shows in its sidebar (ingress). On the host's network the
    /// Supervisor asks for it at its own network's gateway; anybody else would have to know the
    /// app's token.
    fn web(&self, token: &str, history: bool) -> Value {
        let mut sink = json!({
            "type": "web",
            "listen": "172.30.32.1:8099",
            "trusted_proxy": ["172.30.32.2"],
            "username": "supervisor",
            "password": token,
        });
        if history {
            sink["history"] = json!(self.history);
        }
        sink
    }

    /// Asks the Supervisor for the broker (`GET /services/mqtt`).
    fn broker(&self) -> Result<Broker, HomeAssistantError> {
        let wrong =
            |error: &dyn std::fmt::Display| HomeAssistantError::Supervisor(error.to_string());
        let token = self.token.as_deref().ok_or_else(|| wrong(&"SUPERVISOR_TOKEN is not set"))?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        let mut response = agent
            .get(format!("{}/services/mqtt", self.supervisor))
            .header("Authorization", format!("Bearer {token}"))
            .call()
            .map_err(|error| wrong(&error))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().map_err(|error| wrong(&error))?;
        let answer: Answer =
            serde_json::from_str(&text).map_err(|_| wrong(&format_args!("status {status}")))?;
        if let ("ok", Some(data)) = (answer.result.as_str(), answer.data) {
            return serde_json::from_value(data).map_err(|error| wrong(&error));
        }
        let message = answer.message.unwrap_or_else(|| format!("status {status}"));
        // 400 is its answer to a service that nothing provides.
        Err(if status == 400 {
            HomeAssistantError::NoBroker(message)
        } else {
            HomeAssistantError::Supervisor(message)
        })
    }
}

/// The wired interface to capture from: one with a link, if there is one.
fn wired_interface() -> Result<String, HomeAssistantError> {
    let all = InterfaceInfo::all();
    let has_link = |interface: &&InterfaceInfo| {
        let carrier = format!("/sys/class/net/{}/carrier", interface.name);
        fs::read_to_string(carrier).is_ok_and(|carrier| carrier.trim() == "1")
    };
    let wired = || all.iter().filter(|interface| interface.kind == InterfaceKind::Wired);
    let chosen = wired().find(has_link).or_else(|| wired().next());
    chosen.map(|interface| interface.name.clone()).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|interface| interface.name.as_str()).collect();
        HomeAssistantError::NoInterface(names.join(", "))
    })
}

/// Doubles the dollars of all texts: options name no environment variables.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(values) => values.iter_mut().for_each(escape),
        Value::Object(map) => map.values_mut().for_each(escape),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
