//! From a file to a [`Config`].

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IgnoredAny;

use energi_sinks::registry::{BUILT, KeysOf, SinkType};
use energi_sinks::settings::{Period, Problem, Tariff};

use super::document::Document;
use super::env::Environment;
use super::error::{ConfigErrors, Fault};
use super::keys::keys;
use super::place::Place;
use super::sections::CaptureType;
use super::sections::Zone;
use super::{Capture, Config, Decoders, Devices, Live, Replay, Simulator, SinkEntry, syntax};

/// A longer file is not a configuration.
const MOST_BYTES: usize = 1 << 20;

/// Reads and validates the configuration in a file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = read(path).map_err(|fault| ConfigErrors::of(path, vec![fault]))?;
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
    syntax::check(text).map_err(|fault| ConfigErrors::of(path, vec![fault]))?;
    let mut document = Document::new(text, environment);
    let config = config(&mut document);
    let faults = document.into_faults();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
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
            "no configuration: there is no {}; copy config.example.yaml to one of them, or name \
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
        io::ErrorKind::PermissionDenied => Fault::new("this user may not read it"),
        _ => Fault::new(format!("cannot be read: {error}")),
    })?;
    if bytes.len() > MOST_BYTES {
        return Err(Fault::new("more than 1 MiB; this is no configuration"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Fault::at(line, column, "not UTF-8; save the file in that encoding")
    })
}

/// The whole document, sections that depend on a `type` left for later.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outline {
    site: Option<String>,
    timezone: Option<Zone>,
    #[serde(default = "ten_seconds")]
    shutdown_timeout: Period,
    tariff: Option<Tariff>,
    capture: Option<IgnoredAny>,
    #[serde(default)]
    devices: Devices,
    #[serde(default)]
    decoders: Decoders,
    #[serde(default)]
    sinks: Vec<IgnoredAny>,
}

const fn ten_seconds() -> Period {
    Period::from_secs(10)
}

#[derive(Deserialize)]
struct CaptureHead {
    r#type: Option<CaptureType>,
}

#[derive(Deserialize)]
struct SinkHead {
    r#type: Option<SinkType>,
    name: Option<String>,
}

fn config(document: &mut Document<'_>) -> Option<Config> {
    let top = Place::default();
    let outline = document.read(&top, &[], PhantomData::<Outline>)?;
    let capture = capture(document, outline.capture.is_some());
    if let Some(tariff) = &outline.tariff {
        document.refuse(&top.below("tariff"), tariff.validate());
    }
    document.refuse(&top.below("devices"), outline.devices.validate());
    if let Err(problems) = outline.decoders.table() {
        document.refuse(&top.below("decoders"), problems);
    }
    let sinks = sinks(document, outline.sinks.len());
    if outline.site.as_deref().is_some_and(|site| site.trim().is_empty()) {
        document.refuse(&top, vec![Problem::new("site", "write a label or leave the key out")]);
    }
    Some(Config {
        site: outline.site,
        timezone: outline.timezone.map_or_else(TimeZone::system, |Zone(timezone)| timezone),
        shutdown_timeout: outline.shutdown_timeout,
        tariff: outline.tariff,
        capture: capture?,
        devices: outline.devices,
        decoders: outline.decoders,
        sinks,
    })
}

fn capture(document: &mut Document<'_>, given: bool) -> Option<Capture> {
    let place = Place::default().below("capture");
    let types = "live, replay or simulator";
    if !given {
        if !document.is_excused(&place) {
            let problem = format!("the key is missing; it says where frames come from: {types}");
            document.refuse(&place, vec![Problem::new("", problem)]);
        }
        return None;
    }
    let head = document.read(&place, &[], PhantomData::<CaptureHead>)?;
    let Some(capture_type) = head.r#type else {
        let known = [
            &["type"][..],
            keys(PhantomData::<Live>),
            keys(PhantomData::<Replay>),
            keys(PhantomData::<Simulator>),
        ];
        without_type(document, &place, &known.concat(), types);
        return None;
    };
    let hidden = &["type"];
    let capture = match capture_type {
        CaptureType::Live => document.read(&place, hidden, PhantomData).map(Capture::Live),
        CaptureType::Replay => document.read(&place, hidden, PhantomData).map(Capture::Replay),
        CaptureType::Simulator => {
            document.read(&place, hidden, PhantomData).map(Capture::Simulator)
        }
    }?;
    document.refuse(&place, capture.validate());
    Some(capture)
}

/// Says that a section has no `type`, or which of its keys was meant to be it.
fn without_type(document: &mut Document<'_>, place: &Place, known: &[&str], types: &str) {
    let type_place = place.key("type");
    if !document.is_excused(&type_place) && !document.refuse_unknown(place, known, "type") {
        let problem = format!("the key is missing; it is one of {types}");
        document.refuse(place, vec![Problem::new("type", problem)]);
    }
}

fn sinks(document: &mut Document<'_>, count: usize) -> Vec<SinkEntry> {
    let list = Place::default().below("sinks");
    if count == 0 && !document.is_excused(&list) {
        let problem = "no sink is listed, so readings would go nowhere; list `- type: stdout`";
        document.refuse(&list, vec![Problem::new("", problem)]);
    }
    let mut sinks: Vec<SinkEntry> = Vec::new();
    for index in 0..count {
        let place = list.index(index);
        let Some(entry) = sink(document, &place) else { continue };
        let name = &entry.name;
        if sinks.iter().any(|other| other.name == *name) {
            let problem =
                format!("another sink is called `{name}` too; give one of them another `name`");
            document.refuse(&place, vec![Problem::new("name", problem)]);
        }
        if let Some(destination) = entry.config.sink().destination()
            && let Some(SinkEntry { name, .. }) = sinks.iter().find(|other| {
                let taken = other.config.sink().destination();
                taken.is_some_and(|taken| taken.is_also(&destination))
            })
        {
            let problem = format!("the sink `{name}` writes there too; give each its own");
            document.refuse(&place, vec![Problem::new(destination.key, problem)]);
        }
        sinks.push(entry);
    }
    sinks
}

fn sink(document: &mut Document<'_>, place: &Place) -> Option<SinkEntry> {
    let head = document.read(place, &[], PhantomData::<SinkHead>)?;
    let Some(sink_type) = head.r#type else {
        let mut known = vec!["type", "name"];
        known.extend(SinkType::built().flat_map(|sink_type| keys(KeysOf(sink_type))));
        without_type(document, place, &known, &BUILT.join(", "));
        return None;
    };
    let mut config = document.read(place, &["type", "name"], KeysOf(sink_type))?;
    let name = head.name.unwrap_or_else(|| sink_type.name().to_owned());
    config.named(&name);
    document.refuse(place, config.sink().validate());
    // Names become parts of file names and labels.
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let problem = "use 1 to 64 letters, digits, spaces, `-`, `_` and `.`";
        document.refuse(place, vec![Problem::new("name", problem)]);
    }
    Some(SinkEntry { name, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_looked_for_here_then_at_home_then_in_etc() {
        let here = Path::new("./config.yaml");
        let etc = Path::new("/etc/energi-gateway/config.yaml");
        assert_eq!(candidates(None, None), [here, etc]);

        let home = Path::new("/home/u/.config/energi-gateway/config.yaml");
        assert_eq!(candidates(None, Some("/home/u".into())), [here, home, etc]);

        let own = Path::new("/x/energi-gateway/config.yaml");
        assert_eq!(candidates(Some("/x".into()), Some("/home/u".into())), [here, own, etc]);
    }

    #[test]
    fn the_first_that_exists_is_used_and_none_says_how_to_make_one() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| directory.path().join(name));
        let said = find_among(&paths).unwrap_err().to_string();
        assert!(said.contains("copy config.example.yaml to one of them"), "{said}");
        std::fs::write(&paths[2], "").unwrap();
        std::fs::write(&paths[1], "").unwrap();
        assert_eq!(find_among(&paths).unwrap(), paths[1]);
    }
}
