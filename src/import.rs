//! Import of the `config.ini` of `mqtt-energi`.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::path::Path;

use energi_decoders::Switch;
use energi_sinks::settings::Secret;

use crate::config::{self, ConfigErrors, Fault, scalar};

/// Result of converting a `config.ini`.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The configuration, with comments on what is different. It is valid.
    pub(crate) yaml: String,
    /// The password, where [`yaml`](Self::yaml) only has the name of its file.
    pub(crate) password: Option<Secret>,
    /// Settings that were left out, with their places.
    pub(crate) left_out: Vec<Fault>,
}

/// Makes a configuration of `text`, the content of `file`. A password goes into the configuration,
/// or, where there is a `password_file`, the configuration names that file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) fn import(
    text: &str,
    file: &Path,
    password_file: Option<&str>,
) -> Result<Imported, ConfigErrors> {
    let wrong = |faults| ConfigErrors { file: file.to_owned(), faults };
    // Editors on Windows begin a file with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let settings = settings(text).map_err(|fault| wrong(vec![fault]))?;
    let mut reader = Reader { settings: &settings, faults: Vec::new(), left_out: Vec::new() };
    let Some(values) = reader.values().filter(|_| reader.faults.is_empty()) else {
        return Err(wrong(reader.faults));
    };
    let yaml = yaml(&values, password_file);
    // What a value may be is for the configuration to say.
    if let Err(ConfigErrors { faults, .. }) = config::parse(&yaml, file, &|_| None) {
        return Err(wrong(faults.into_iter().map(|fault| reader.at_home(fault)).collect()));
    }
    let password = values.password.filter(|_| password_file.is_some()).map(Secret::from);
    Ok(Imported { yaml, password, left_out: reader.left_out })
}

/// A setting as it is written.
struct Setting<'t> {
    section: &'t str,
    /// Name in lower case: `configparser` does not tell cases apart.
    name: String,
    /// Text behind the `=` or `:`; none where neither is there.
    value: Option<&'t str>,
    position: (usize, usize),
    /// True if the next line, further indented, would go on with the value.
    goes_on: bool,
}

impl Setting<'_> {
    fn is(&self, known: &Known) -> bool {
        self.section.eq_ignore_ascii_case(known.section) && self.name == known.name
    }

    fn fault(&self, message: &str) -> Fault {
        let path = match self.section {
            "" => self.name.clone(),
            section => format!("[{section}] {}", self.name),
        };
        let position = Some(self.position);
        Fault { position, path, message: message.to_owned(), excerpt: None }
    }
}

/// The settings of `text` in its order, as Python's `configparser` takes them.
fn settings(text: &str) -> Result<Vec<Setting<'_>>, Fault> {
    let (mut settings, mut section) = (Vec::<Setting<'_>>::new(), "");
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let wrong = |message: &str| Fault {
            position: Some((number, column)),
            message: message.to_owned(),
            ..Fault::default()
        };
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = content.strip_prefix('[') {
            let (name, _) = header.rsplit_once(']').ok_or_else(|| wrong("a `]` is missing"))?;
            section = name.trim();
            continue;
        }
        if let Some(last) = settings.last_mut().filter(|last| column > last.position.1) {
            last.goes_on = true;
            continue;
        }
        let (name, value) = match content.split_once(['=', ':']) {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (content, None),
        };
        if name.is_empty() {
            return Err(wrong("a name is missing before the `=`"));
        }
        let (name, position) = (name.to_lowercase(), (number, column));
        settings.push(Setting { section, name, value, position, goes_on: false });
    }
    Ok(settings)
}

/// A setting that `mqtt-energi` has, and the key that its value goes to as it is, if to one.
struct Known {
    section: &'static str,
    name: &'static str,
    key: &'static str,
}

impl Known {
    const fn new(section: &'static str, name: &'static str, key: &'static str) -> Self {
        Self { section, name, key }
    }
}

static NIC: Known = Known::new("NETWORK", "nic", "capture.interface");
static BROKER: Known = Known::new("MQTT", "broker", "sinks[0].url");
static PORT: Known = Known::new("MQTT", "port", "");
static TOPIC: Known = Known::new("MQTT", "topic", "sinks[0].topic");
static ID: Known = Known::new("MQTT", "id", "sinks[0].client_id");
static USER: Known = Known::new("MQTT", "user", "sinks[0].username");
static PASS: Known = Known::new("MQTT", "pass", "sinks[0].password");
static DEBUG: Known = Known::new("DEBUG", "enabled", "");
static KNOWN: [&Known; 8] = [&NIC, &BROKER, &PORT, &TOPIC, &ID, &USER, &PASS, &DEBUG];

/// The values of the settings, as `mqtt-energi` takes them.
struct Values {
    interface: String,
    url: String,
    topic: Option<String>,
    client_id: Option<String>,
    username: Option<String>,
    password: Option<String>,
    debug: bool,
}

/// Reads settings, and collects what is wrong with them.
struct Reader<'s> {
    settings: &'s [Setting<'s>],
    faults: Vec<Fault>,
    left_out: Vec<Fault>,
}

impl<'s> Reader<'s> {
    /// All values; none where one that is needed is not there.
    fn values(&mut self) -> Option<Values> {
        for setting in self.settings.iter().filter(|it| !KNOWN.iter().any(|known| it.is(known))) {
            self.left_out.push(setting.fault("mqtt-energi has no such setting; it is left out"));
        }
        let (interface, broker) = (self.needed(&NIC), self.needed(&BROKER));
        let port = self.text(&PORT).unwrap_or_else(|| "1883".to_owned());
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            self.refuse(&PORT, "a number from 1 to 65535, such as 1883");
        }
        let [topic, client_id, username] = [&TOPIC, &ID, &USER].map(|known| self.text(known));
        let mut password = self.text(&PASS);
        if username.is_none() && password.take().is_some() {
            let setting = self.setting(&PASS);
            let left_out =
                setting.map(|it| it.fault("without a user it is of no use; it is left out"));
            self.left_out.extend(left_out);
        }
        // As Python's `getboolean` takes it.
        let debug = match self.text(&DEBUG).unwrap_or_default().to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => true,
            "" | "0" | "no" | "false" | "off" => false,
            _ => {
                self.refuse(&DEBUG, "True or False");
                false
            }
        };
        let host = broker?;
        let url = match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("mqtt://[{host}]:{port}"),
            Err(_) => format!("mqtt://{host}:{port}"),
        };
        Some(Values { interface: interface?, url, topic, client_id, username, password, debug })
    }

    fn setting(&self, known: &Known) -> Option<&'s Setting<'s>> {
        self.settings.iter().rfind(|setting| setting.is(known))
    }

    fn refuse(&mut self, known: &Known, message: &str) {
        let found = self.setting(known).map(|setting| setting.fault(message));
        self.faults.push(found.unwrap_or_else(|| Fault {
            path: format!("[{}] {}", known.section, known.name),
            message: message.to_owned(),
            ..Fault::default()
        }));
    }

    /// The value of a setting; none where it is empty, missing or wrong, which is noted.
    fn text(&mut self, known: &Known) -> Option<String> {
        let setting = self.setting(known)?;
        let twice = self.settings.iter().filter(|setting| setting.is(known)).count() > 1;
        let value = match setting.value {
            _ if twice => Err("this is there twice, which mqtt-energi refuses; delete one"),
            _ if setting.goes_on => {
                Err("the value goes on in the next line, for that is further indented; begin each \
                 setting in the first column")
            }
            None => Err("a value is missing; write `name = value`"),
            Some(value) => interpolated(value),
        };
        match value {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(message) => {
                self.refuse(known, message);
                None
            }
        }
    }

    fn needed(&mut self, known: &Known) -> Option<String> {
        let before = self.faults.len();
        let value = self.text(known);
        if value.is_none() && self.faults.len() == before {
            self.refuse(known, "mqtt-energi does not run without it; write its value");
        }
        value
    }

    /// A fault of the configuration, at the setting that its value came from.
    fn at_home(&self, fault: Fault) -> Fault {
        let source = KNOWN.iter().find(|it| !it.key.is_empty() && fault.path.starts_with(it.key));
        match source.and_then(|known| Some((known, self.setting(known)?))) {
            // Its value is only a part of the URL that the words of the configuration are about.
            Some((known, setting)) if known.name == BROKER.name => setting.fault(
                "the name or the address of a machine alone, such as 192.168.1.10; port, user and \
                 password are settings of their own",
            ),
            Some((_, setting)) => setting.fault(&fault.message),
            None => Fault { position: None, excerpt: None, ..fault },
        }
    }
}

/// A value as `configparser` gives it out, which takes `%%` for a percent sign.
fn interpolated(value: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        plain.push('%');
        rest = after.strip_prefix('%').ok_or(if after.starts_with('(') {
            "this refers to another setting; write the value itself"
        } else {
            "mqtt-energi refuses a `%` by itself; write `%%` for a percent sign"
        })?;
    }
    plain.push_str(rest);
    Ok(plain)
}

/// A configuration with `values`. The password is in it, or else in `password_file`.
fn yaml(values: &Values, password_file: Option<&str>) -> String {
    let mut yaml = format!("{HEAD}  interface: {}\n{BELOW_INTERFACE}", scalar(&values.interface));
    if values.debug {
        yaml.push_str(EXPERIMENTAL);
        // Those that `mqtt-energi` has.
        let has = |switch: &Switch| matches!(switch, Switch::Length(_));
        for switch in Switch::all().into_iter().filter(has) {
            let _infallible = writeln!(yaml, "    \"{switch}\": true");
        }
    }
    let mut line = |before: &str, key: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _infallible = writeln!(yaml, "{before}    {key}: {}", scalar(value));
        }
    };
    line("\nsinks:\n  - type: mqtt\n", "url", Some(&values.url));
    line("", "topic", values.topic.as_deref());
    line(CLIENT_ID, "client_id", values.client_id.as_deref());
    line("", "username", values.username.as_deref());
    match (values.password.as_deref(), password_file) {
        (Some(_), Some(file)) => line("", "password_file", Some(file)),
        (password, _) => line(PASSWORD, "password", password),
    }
    yaml + TAIL
}

const HEAD: &str = "\
# Made of the config.ini of mqtt-energi. `energi-gateway check -c FILE` shows it with every default;
# config.example.yaml explains each key.

capture:
  type: live
";

const BELOW_INTERFACE: &str = "  \
  # mqtt-energi took in every frame on the wire; here only the devices' group is asked for. Hardware
  # that does not filter multicast properly needs this all the same:
  # promiscuous: true
";

const EXPERIMENTAL: &str = "
decoders:
  # What `enabled` below [DEBUG] switched on. Their keys all carry the packet: 0x27/frequency.
  experimental:
";

const CLIENT_ID: &str = "    \
    # Two clients of one name push each other out: stop mqtt-energi first, or delete this line, which
    # makes a name that nobody else has.
";

const PASSWORD: &str = "    \
    # Every reader of this file can read the password. `password_file: FILE` keeps it elsewhere.
";

const TAIL: &str = "    \
    # A topic has a message every 10 s at most. 0s sends every reading, as mqtt-energi did.
    interval: 10s
    # Home Assistant is told of the devices by itself. If you made entities for them by hand and want
    # to keep only those:
    # discovery: false

  # A history, too: each reading for a month, the energy of each day permanently.
  # - {type: sqlite, path: energi.db}
";

#[cfg(test)]
mod tests;
