//! From the `config.ini` of `mqtt-energi` to a configuration.

mod ini;
mod known;
mod yaml;

use std::net::Ipv6Addr;
use std::path::Path;

use energi_sinks::settings::Secret;

use crate::config::{self, ConfigErrors, Fault};

use ini::Setting;
use known::Known;

/// What became of a `config.ini`.
#[derive(Debug)]
pub struct Imported {
    /// The configuration, with comments on what is different. It is valid.
    pub yaml: String,
    /// The password, where [`yaml`](Self::yaml) only says which file it is in.
    pub password: Option<Secret>,
    /// What was left out, each with its place.
    pub left_out: Vec<Fault>,
}

/// Makes a configuration of `text`, the content of `file`. A password goes into the configuration,
/// or, where there is a `password_file`, the configuration says that it is there.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn import(
    text: &str,
    file: &Path,
    password_file: Option<&str>,
) -> Result<Imported, ConfigErrors> {
    let wrong = |faults| ConfigErrors { file: file.to_owned(), faults };
    // Editors on Windows begin a file with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let settings = ini::settings(text).map_err(|error| {
        let position = Some((error.line, 1));
        wrong(vec![Fault { position, path: String::new(), message: error.message }])
    })?;
    let mut reader = Reader::new(&settings);
    let values = reader.values();
    let Some(values) = values.filter(|_| reader.faults.is_empty()) else {
        return Err(wrong(reader.faults));
    };
    let yaml = yaml::write(&values, password_file);
    // What a value may be is for the configuration to say.
    if let Err(ConfigErrors { faults, .. }) = config::parse(&yaml, file, &|_| None) {
        return Err(wrong(faults.into_iter().map(|fault| reader.at_home(fault)).collect()));
    }
    let password = values.password.filter(|_| password_file.is_some()).map(Secret::from);
    Ok(Imported { yaml, password, left_out: reader.left_out })
}

/// The values of the settings, as `mqtt-energi` takes them.
struct Values {
    interface: String,
    broker: String,
    port: u16,
    topic: Option<String>,
    client_id: Option<String>,
    username: Option<String>,
    password: Option<String>,
    debug: bool,
}

/// Reads settings, and collects what is wrong with them.
struct Reader<'s> {
    settings: &'s [Setting],
    faults: Vec<Fault>,
    left_out: Vec<Fault>,
}

impl<'s> Reader<'s> {
    fn new(settings: &'s [Setting]) -> Self {
        let mut reader = Self { settings, faults: Vec::new(), left_out: Vec::new() };
        for setting in settings {
            if !Known::ALL.iter().any(|known| is(setting, *known)) {
                let fault = fault(setting, "mqtt-energi has no such setting; it is left out");
                reader.left_out.push(fault);
            }
        }
        reader
    }

    /// All values; none where one that is needed is not there.
    fn values(&mut self) -> Option<Values> {
        let interface = self.needed(Known::Nic);
        let broker = self.needed(Known::Broker);
        let port = self.text(Known::Port);
        let port = port.map_or(Some(1883), |port| self.port(&port));
        let topic = self.text(Known::Topic);
        let client_id = self.text(Known::Id);
        let username = self.text(Known::User);
        let mut password = self.text(Known::Pass);
        if username.is_none() && password.take().is_some() {
            self.leave_out(Known::Pass, "without a user it is of no use; it is left out");
        }
        let debug = self.text(Known::Debug);
        let debug = debug.map_or(Some(false), |debug| self.switch(&debug));
        Some(Values {
            interface: interface?,
            broker: broker?,
            port: port?,
            topic,
            client_id,
            username,
            password,
            debug: debug?,
        })
    }

    fn setting(&self, known: Known) -> Option<&'s Setting> {
        self.settings.iter().rfind(|setting| is(setting, known))
    }

    fn refuse(&mut self, known: Known, message: &str) {
        let found = self.setting(known).map(|setting| fault(setting, message));
        self.faults.push(found.unwrap_or_else(|| {
            let (section, name) = known.place();
            Fault { position: None, path: format!("[{section}] {name}"), message: message.into() }
        }));
    }

    fn leave_out(&mut self, known: Known, message: &str) {
        self.left_out.extend(self.setting(known).map(|setting| fault(setting, message)));
    }

    /// The value of a setting; none where it is empty, missing or wrong, which is noted.
    fn text(&mut self, known: Known) -> Option<String> {
        let setting = self.setting(known)?;
        if self.settings.iter().filter(|setting| is(setting, known)).count() > 1 {
            self.refuse(known, "this is there twice, which mqtt-energi refuses; delete one");
            return None;
        }
        let Some(value) = &setting.value else {
            self.refuse(known, "a value is missing; write `name = value`");
            return None;
        };
        if value.contains('\n') {
            let message = "the value goes on in the next line, for that is further indented; \
                           begin each setting in the first column";
            self.refuse(known, message);
            return None;
        }
        match interpolated(value) {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(message) => {
                self.refuse(known, message);
                None
            }
        }
    }

    fn needed(&mut self, known: Known) -> Option<String> {
        let before = self.faults.len();
        let value = self.text(known);
        if value.is_none() && self.faults.len() == before {
            self.refuse(known, "mqtt-energi does not run without it; write its value");
        }
        value
    }

    fn port(&mut self, text: &str) -> Option<u16> {
        let port = text.parse().ok().filter(|port| *port > 0);
        if port.is_none() {
            self.refuse(Known::Port, "a number from 1 to 65535, such as 1883");
        }
        port
    }

    /// As Python's `getboolean` takes it.
    fn switch(&mut self, text: &str) -> Option<bool> {
        match text.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Some(true),
            "0" | "no" | "false" | "off" => Some(false),
            _ => {
                self.refuse(Known::Debug, "True or False");
                None
            }
        }
    }

    /// A fault of the configuration, at the setting that its value came from.
    fn at_home(&self, fault: Fault) -> Fault {
        let source = Known::ALL
            .into_iter()
            .find(|known| known.becomes().is_some_and(|key| fault.path.starts_with(key)));
        match source.and_then(|known| self.setting(known)) {
            // Its value is only a part of the URL that the words of the configuration are about.
            Some(setting) if source == Some(Known::Broker) => self::fault(
                setting,
                "the name or the address of a machine alone, such as 192.168.1.10; port, user and \
                 password are settings of their own",
            ),
            Some(setting) => self::fault(setting, &fault.message),
            None => Fault { position: None, ..fault },
        }
    }
}

fn is(setting: &Setting, known: Known) -> bool {
    let (section, name) = known.place();
    setting.section.eq_ignore_ascii_case(section) && setting.name == name
}

fn fault(setting: &Setting, message: &str) -> Fault {
    let Setting { section, name, position, .. } = setting;
    let path = if section.is_empty() { name.clone() } else { format!("[{section}] {name}") };
    Fault { position: Some(*position), path, message: message.to_owned() }
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

/// The address of a broker by its name or number.
fn url(broker: &str, port: u16) -> String {
    if broker.parse::<Ipv6Addr>().is_ok() {
        format!("mqtt://[{broker}]:{port}")
    } else {
        format!("mqtt://{broker}:{port}")
    }
}

#[cfg(test)]
mod tests;
