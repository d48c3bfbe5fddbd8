//! Steps from a file to a [`Config`].

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::de::{DeserializeOwned, DeserializeSeed};
use tracing::debug;

use energi_sinks::registry::{BUILT, KeysOf, TYPES};
use energi_sinks::settings::{Period, Problem, Tariff};

use super::env::Environment;
use super::error::{ConfigErrors, Fault};
use super::place::{Part, below, locate, reached};
use super::reader::Reader;
use super::sections::Zone;
use super::tree::{self, Node};
use super::wrong::{Wrong, list, nearest, unknown_key, unknown_word};
use super::{Capture, Config, Decoders, Devices, SinkEntry};

/// A longer file is not a configuration.
const MOST_BYTES: usize = 1 << 20;

/// Reads and validates the configuration in a file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = read(path).map_err(|fault| ConfigErrors::of(path, vec![fault]))?;
    debug!(file = %path.display(), bytes = text.len(), "reading the configuration");
    parse(&text, path, &|name| std::env::var(name).ok())
}

/// Validates a configuration that was read from `path`, with the environment variables that
/// `environment` gives.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(
    text: &str,
    path: &Path,
    environment: Environment<'_>,
) -> Result<Config, ConfigErrors> {
    // Editors on Windows begin a file with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree =
        tree::parse(text).map_err(|fault| ConfigErrors::of(path, vec![fault.quoting(text)]))?;
    let mut loader = Loader { text, tree: &tree, environment, faults: Vec::new() };
    let config = loader.config();
    let mut faults = loader.faults;
    faults.sort_by_key(|fault| fault.position);
    match config {
        Some(config) if faults.is_empty() => Ok(Config { file: path.to_owned(), ..config }),
        _ => Err(ConfigErrors::of(path, faults)),
    }
}

/// The configuration file to use where none is named: the first that exists of `./config.yaml`,
/// `energi-gateway/config.yaml` in the user's configuration directory, and
/// `/etc/energi-gateway/config.yaml`.
///
/// # Errors
/// Where none exists: how to make one.
pub fn find() -> Result<PathBuf, ConfigErrors> {
    let variable =
        |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    find_among(&candidates(variable("XDG_CONFIG_HOME"), variable("HOME")))
}

fn candidates(config_home: Option<PathBuf>, home: Option<PathBuf>) -> Vec<PathBuf> {
    const OURS: &str = "energi-gateway/config.yaml";
    let own = config_home.or_else(|| home.map(|home| home.join(".config")));
    let own = own.map(|directory| directory.join(OURS));
    [Some("./config.yaml".into()), own, Some(Path::new("/etc").join(OURS))]
        .into_iter()
        .flatten()
        .collect()
}

fn find_among(candidates: &[PathBuf]) -> Result<PathBuf, ConfigErrors> {
    candidates.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let names: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        let fault = Fault::new(format!(
            "no configuration: there is no {}; copy config.example.yaml to one of these, or name \
             a file with -c",
            names.join(", ")
        ));
        ConfigErrors { file: PathBuf::new(), faults: vec![fault] }
    })
}

fn read(path: &Path) -> Result<String, Fault> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::new("there is no such file"),
        io::ErrorKind::IsADirectory => Fault::new("this is a directory; name the file in it"),
        io::ErrorKind::PermissionDenied => Fault::new("this user has no permission to read it"),
        _ => Fault::new(format!("cannot be read: {error}")),
    })?;
    if bytes.len() > MOST_BYTES {
        return Err(Fault::new("more than 1 MiB; this is not a configuration"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Fault::at(line, column, "not UTF-8; save the file in that encoding")
    })
}

/// More faults than these are not shown: nobody corrects more at a time, and each costs a walk
/// through the text.
const MOST_FAULTS: usize = 50;

/// The keys of the document itself.
const SECTIONS: [&str; 8] =
    ["site", "timezone", "shutdown_timeout", "tariff", "capture", "devices", "decoders", "sinks"];

/// A document that is read section by section. Of each section the first value of a wrong shape is
/// noted; of what has the right shape, everything that is wrong.
struct Loader<'a> {
    text: &'a str,
    tree: &'a Node,
    environment: Environment<'a>,
    faults: Vec<Fault>,
}

impl Loader<'_> {
    /// Reads every section; one that cannot be read has its default here and a fault in the list.
    fn config(&mut self) -> Option<Config> {
        let Node::Map(entries) = self.tree else {
            self.refuse("", "expected a mapping (`key: value`)");
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
            self.note(key, Part::Key, unknown_key(key, SECTIONS.into_iter()));
        }
        let site: Option<String> = self.optional("site");
        if site.as_ref().is_some_and(|site| site.trim().is_empty()) {
            self.refuse("site", "write a label or leave the key out");
        }
        let (timezone, warnings) = zone_in_force(self.optional("timezone"));
        let shutdown_timeout = self.optional("shutdown_timeout");
        let tariff: Option<Tariff> = self.optional("tariff");
        self.refuse_all("tariff", tariff.as_ref().map(Tariff::validate).unwrap_or_default());
        let capture = self.capture();
        let devices: Devices = self.optional("devices").unwrap_or_default();
        self.refuse_all("devices", devices.validate());
        let decoders: Decoders = self.optional("decoders").unwrap_or_default();
        self.refuse_all("decoders", decoders.table().err().unwrap_or_default());
        Some(Config {
            file: PathBuf::new(),
            site,
            timezone,
            shutdown_timeout: shutdown_timeout.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT),
            tariff,
            sinks: self.sinks(),
            capture: capture?,
            devices,
            decoders,
            warnings,
        })
    }

    fn capture(&mut self) -> Option<Capture> {
        const PLACE: &str = "capture";
        let types = [
            "live",
            #[cfg(feature = "nats")]
            "nats",
            "remote",
            "replay",
            "simulator",
        ];
        let Some(node) = self.tree.get(PLACE) else {
            let types = list(types.into_iter());
            let problem = format!("the key is missing; it defines where frames come from: {types}");
            self.refuse(PLACE, problem);
            return None;
        };
        let capture_type = self.type_of(PLACE, node, &types, &["nats"])?;
        let hidden = &["type"];
        let own = node.without(hidden);
        let capture = match capture_type {
            "live" => self.read(PLACE, &own, hidden).map(Capture::Live),
            #[cfg(feature = "nats")]
            "nats" => self.read(PLACE, &own, hidden).map(Capture::Nats),
            "remote" => self.read(PLACE, &own, hidden).map(Capture::Remote),
            "replay" => self.read(PLACE, &own, hidden).map(Capture::Replay),
            _ => self.read(PLACE, &own, hidden).map(Capture::Simulator),
        }?;
        self.refuse_all(PLACE, capture.validate());
        Some(capture)
    }

    fn sinks(&mut self) -> Vec<SinkEntry> {
        const PLACE: &str = "sinks";
        let nodes = match self.tree.get(PLACE) {
            Some(Node::List(nodes)) => &nodes[..],
            Some(_) => {
                self.refuse(PLACE, "expected a list: `- type: stdout`");
                return Vec::new();
            }
            None => &[],
        };
        if nodes.is_empty() {
            let problem = "no sink is listed, so readings would go nowhere; list `- type: stdout`";
            self.refuse(PLACE, problem);
        }
        let mut sinks: Vec<SinkEntry> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let place = format!("{PLACE}[{index}]");
            let Some(entry) = self.sink(&place, node) else { continue };
            let name = &entry.name;
            if sinks.iter().any(|other| other.name == *name) {
                let problem =
                    format!("another sink is called `{name}` too; give one of them another `name`");
                self.refuse(&below(&place, "name"), problem);
            }
            if let Some(destination) = entry.config.sink().destination()
                && let Some(SinkEntry { name, .. }) = sinks.iter().find(|other| {
                    let taken = other.config.sink().destination();
                    taken.is_some_and(|taken| taken.is_also(&destination))
                })
            {
                let problem = format!("the sink `{name}` writes there too; give each sink its own");
                self.refuse(&below(&place, destination.key), problem);
            }
            sinks.push(entry);
        }
        sinks
    }

    fn sink(&mut self, place: &str, node: &Node) -> Option<SinkEntry> {
        let sink_type = self.type_of(place, node, BUILT, TYPES)?;
        let name_place = below(place, "name");
        let name: String = match node.get("name") {
            Some(name) => self.read(&name_place, name, &[])?,
            None => sink_type.to_owned(),
        };
        let hidden = &["type", "name"];
        let mut config = self.read_as(KeysOf(sink_type), place, &node.without(hidden), hidden)?;
        config.named(&name);
        self.refuse_all(place, config.sink().validate());
        // Names become parts of file names and labels.
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            self.refuse(&name_place, "use 1 to 64 letters, digits, spaces, `-`, `_` and `.`");
        }
        Some(SinkEntry { name, config })
    }

    /// The `type` of a section that has keys by its type: one of `types`. A program may be `built`
    /// with others.
    fn type_of(
        &mut self,
        place: &str,
        node: &Node,
        types: &[&'static str],
        built: &[&str],
    ) -> Option<&'static str> {
        let (key, listed) = (below(place, "type"), list(types.iter().copied()));
        match (node, node.get("type")) {
            (_, Some(given @ Node::Scalar(..))) => {
                let given: String = self.read(&key, given, &[])?;
                let found = types.iter().copied().find(|known| *known == given);
                if found.is_none() && built.contains(&given.as_str()) {
                    let problem = format!(
                        "this program was built without `{given}`; build it with \
                         `--features {given}`"
                    );
                    self.refuse(&key, problem);
                } else if found.is_none() {
                    self.refuse(&key, unknown_word(&given, types));
                }
                return found;
            }
            (_, Some(_)) => self.refuse(&key, format!("expected one of {listed}")),
            (Node::Map(entries), None) => {
                let is_meant = |key: &str| nearest(key, std::iter::once("type")).is_some();
                if let Some((meant, _)) =
                    entries.iter().find(|(key, _)| key != "type" && is_meant(key))
                {
                    let message = unknown_key(meant, std::iter::once("type"));
                    self.note(&below(place, meant), Part::Key, message);
                } else {
                    self.refuse(&key, format!("the key is missing; it is one of {listed}"));
                }
            }
            _ => self.refuse(place, format!("expected a mapping with a `type`, one of {listed}")),
        }
        None
    }

    /// Reads a section of the document, if it is there.
    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.tree.get(key).and_then(|node| self.read(key, node, &[]))
    }

    /// Reads the section at `place`. The keys in `hidden` belong to it, but were read before.
    fn read<T: DeserializeOwned>(
        &mut self,
        place: &str,
        node: &Node,
        hidden: &[&str],
    ) -> Option<T> {
        self.read_as(PhantomData, place, node, hidden)
    }

    fn read_as<S: for<'n> DeserializeSeed<'n, Value = T>, T>(
        &mut self,
        seed: S,
        place: &str,
        node: &Node,
        hidden: &[&str],
    ) -> Option<T> {
        let mut track = serde_path_to_error::Track::new();
        let reader = Reader { node, environment: self.environment };
        let tracked = serde_path_to_error::Deserializer::new(reader, &mut track);
        let wrong = match seed.deserialize(tracked) {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let found = reached(place, &track.path());
        if let Wrong::UnknownKey(name, known) = &wrong {
            let hidden = if found == below(place, name) { hidden } else { &[] };
            let known = known.iter().chain(hidden).copied();
            self.note(&found, Part::Key, unknown_key(name, known));
        } else {
            self.refuse(&found, wrong.to_string());
        }
        None
    }

    /// Notes what is wrong with values that have the right shape.
    fn refuse_all(&mut self, section: &str, problems: Vec<Problem>) {
        for Problem { key, problem } in problems {
            self.refuse(&below(section, &key), problem);
        }
    }

    /// Notes what is wrong with a value.
    fn refuse(&mut self, place: &str, problem: impl Into<String>) {
        self.note(place, Part::Value, problem.into());
    }

    fn note(&mut self, place: &str, part: Part, message: String) {
        if self.faults.len() < MOST_FAULTS {
            let position = locate(self.text, place, part);
            let fault = Fault { position, path: place.to_owned(), message, excerpt: None };
            self.faults.push(fault.quoting(self.text));
        }
    }
}

const DEFAULT_SHUTDOWN_TIMEOUT: Period = Period::from_secs(10);

/// The time zone that days begin in, and what to say of it where it had to be guessed.
fn zone_in_force(given: Option<Zone>) -> (TimeZone, Vec<String>) {
    if let Some(Zone(timezone)) = given {
        return (timezone, Vec::new());
    }
    match TimeZone::try_system() {
        Ok(timezone) => (timezone, Vec::new()),
        Err(error) => {
            let warning = format!(
                "the system's time zone is unknown ({error}), so days begin at midnight UTC; write \
                 `timezone: Europe/London`, or the zone that is right, into the configuration"
            );
            (TimeZone::UTC, vec![warning])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_sought_here_first() {
        let here = Path::new("./config.yaml");
        let etc = Path::new("/etc/energi-gateway/config.yaml");
        assert_eq!(candidates(None, None), [here, etc]);

        let home = Path::new("/home/u/.config/energi-gateway/config.yaml");
        assert_eq!(candidates(None, Some("/home/u".into())), [here, home, etc]);

        let own = Path::new("/x/energi-gateway/config.yaml");
        assert_eq!(candidates(Some("/x".into()), Some("/home/u".into())), [here, own, etc]);
    }

    #[test]
    fn the_first_configuration_that_exists_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| directory.path().join(name));
        let said = find_among(&paths).unwrap_err().to_string();
        assert!(said.contains("config.example.yaml"), "{said}");
        std::fs::write(&paths[2], "").unwrap();
        std::fs::write(&paths[1], "").unwrap();
        assert_eq!(find_among(&paths).unwrap(), paths[1]);
    }
}
