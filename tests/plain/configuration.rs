//! Promises of the configuration: the examples work, and whatever is wrong is said with its place.

#![allow(clippy::format_push_string, reason = "a test need not be fast")]

mod hostile;
mod wrong;

use std::path::{Path, PathBuf};

use energi_gateway::capture::Speed;
use energi_gateway::config::{self, Capture, Config, Fault, SimulatedDevices};
use energi_sinks::registry::{AnyConfig, BUILT, TYPES};

fn nothing_set(_: &str) -> Option<String> {
    None
}

fn parse(text: &str) -> Result<Config, String> {
    config::parse(text, Path::new("config.yaml"), &nothing_set).map_err(|error| error.to_string())
}

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("examples")).unwrap();
    let examples = entries.map(|entry| entry.unwrap().path());
    let mut examples: Vec<_> =
        examples.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    examples.push(root.join("config.example.yaml"));
    examples
}

/// An example, read where the environment has the secrets that it takes from there.
fn example(path: &Path) -> Config {
    let text = std::fs::read_to_string(path).unwrap();
    let secret = |name: &str| name.ends_with("_TOKEN").then(|| "hunter2".to_owned());
    config::parse(&text, path, &secret).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_example_is_valid_without_a_secret() {
    for path in examples() {
        let printed = example(&path).to_yaml().unwrap();
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn what_check_prints_reads_back_as_the_same() {
    for path in examples() {
        let printed = example(&path).to_yaml().unwrap();
        let again = parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert_eq!(again.to_yaml().unwrap(), printed, "{}", path.display());
    }
}

/// Commented-out lines of the example that are YAML: each block from a line on that begins like this.
fn alternatives(text: &str, beginning: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(comment) = line.trim_start().strip_prefix("# ") else {
            inside = false;
            continue;
        };
        if comment.starts_with(beginning) {
            blocks.push(String::new());
            inside = true;
        }
        if let Some(block) = blocks.last_mut().filter(|_| inside) {
            block.push_str(&format!("  {comment}\n"));
        }
    }
    blocks
}

#[test]
fn what_the_example_comments_out_is_valid_too() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let captures: Vec<Capture> = alternatives(&text, "type: ")
        .iter()
        .map(|block| format!("capture:\n{block}sinks: [type: stdout]"))
        .map(|text| parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).capture)
        .collect();
    assert!(matches!(captures[..], [Capture::Live(_), Capture::Simulator(_)]), "{captures:?}");

    let sinks = alternatives(&text, "- type: ");
    assert!(!sinks.is_empty());
    let is_built = |block: &&String| {
        let sink_type = block.split_whitespace().nth(2);
        sink_type.is_some_and(|name| BUILT.contains(&name))
    };
    for block in sinks.iter().filter(is_built) {
        let text = format!("capture: {{type: simulator}}\nsinks:\n{block}");
        let secret = |name: &str| name.ends_with("_PASSWORD").then(|| "hunter2".to_owned());
        let config = config::parse(&text, Path::new("config.yaml"), &secret);
        config.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    }
}

#[test]
fn the_example_shows_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("config.example.yaml");
    let shown = config::load(&path).unwrap();
    let blocks = alternatives(&std::fs::read_to_string(path).unwrap(), "type: ");
    let text = "timezone: Europe/London\nsite: home\n\
                capture: {type: replay, path: examples/captures/eddi-day.pcapng.gz}\n\
                devices: {list: [{serial: 17589669, name: Hot water, mac: \"70:b3:d5:0c:65:a5\"}]}\n\
                sinks: [{type: stdout}, {type: sqlite, path: demo.db}]\n";
    assert_eq!(shown.to_yaml().unwrap(), parse(text).unwrap().to_yaml().unwrap());

    let minimal = ["{type: live, interface: eth0}", "{type: simulator}"];
    for (block, minimal) in blocks.iter().zip(minimal) {
        let capture = |text: String| parse(&text).unwrap().capture;
        let shown = capture(format!("capture:\n{block}sinks: [type: stdout]"));
        assert_eq!(shown, capture(format!("capture: {minimal}\nsinks: [type: stdout]")));
    }
}

#[test]
fn a_simulation_starts_at_any_kind_of_time() {
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let started = |start: &str| {
        let text = format!(
            "timezone: Europe/London\ncapture: {{type: simulator, start: {start}}}\n\
             sinks: [type: stdout]"
        );
        let config = parse(&text).unwrap();
        let Capture::Simulator(simulator) = config.capture else { panic!() };
        simulator.start.resolve(now, &config.timezone).unwrap().to_string()
    };
    assert_eq!(started("now"), "2026-06-01T00:00:00Z");
    assert_eq!(started("2026-06-20T06:00"), "2026-06-20T05:00:00Z");
    assert_eq!(started("2026-06-20T05:00:00Z"), "2026-06-20T05:00:00Z");
}

/// Every key that the documents show, as they write it.
const DOCUMENTED: &str = r#"
site: home                      # optional label: a tag in InfluxDB, the suggested area in Home Assistant
timezone: Europe/London         # where days begin; default: the system's
shutdown_timeout: 10s
capture:
  type: live                    # live | replay | simulator
  interface: eth0
  promiscuous: false            # true only for a NIC that does not filter multicast properly
  # type: replay
  # path: examples/captures/eddi-day.pcapng.gz  # pcap, pcapng (gzipped too), .bin, or - for a pcap stream on stdin
  # speed: max                  # max (default) | 1 (as recorded) | 60 (a minute a second)
  # type: simulator             # a household with an eddi: {devices: 1, seed: 7, speed: 1, start: now}
devices:                        # optional: names, and an allowlist once only_listed is true
  only_listed: false            # true: the serial must be listed, and its mac match where one is given
  max: 32                       # unlisted serials that may create state; the rest are counted
  list: [{serial: 17589669, name: Hot water, mac: "70:b3:d5:0c:65:a5"}]
decoders:
  experimental: {"0x27": false, "0x2B": false, "0x36": false, "0x37": false, "0x38": false, "0x3A": false}
  custom: []                    # decoders declared here, no compiler needed
  plausibility: withhold        # withhold | keep
sinks:                          # any number, several of one type too; `name` (default: the type) tells them apart
  - {type: stdout}
  - {type: sqlite, path: energi.db}
"#;

#[test]
fn what_the_documents_show_is_read_as_it_is_written() {
    let config = parse(DOCUMENTED).unwrap();
    assert_eq!(config.devices.list[0].mac.unwrap().to_string(), "70:b3:d5:0c:65:a5");

    let live = "type: live                    # live | replay | simulator
  interface: eth0
  promiscuous: false";
    for capture in [
        "type: replay\n  path: examples/captures/eddi-day.pcapng.gz  # pcap\n  speed: max",
        "type: replay\n  path: \"-\"\n  speed: 1",
        "type: replay\n  path: '-'\n  speed: 60",
        "type: simulator\n  devices: 1\n  seed: 7\n  speed: 1\n  start: now",
        "{type: simulator, devices: 1, seed: 7, speed: 1, start: now}",
    ] {
        let text = DOCUMENTED.replace(live, capture);
        assert_ne!(text, DOCUMENTED);
        if let Err(error) = parse(&text) {
            panic!("{capture}\n{error}");
        }
    }

    let custom = r#"custom: [{length: "0x2C", name: boiler, record_type: "0x2108", serial: "0x1E", fields: [{key: tank_temp, offset: "0x30", type: i16,
divide: 10, add: 0, unit: "°C", range: [0, 120]}]}]"#;
    let custom = custom.replace("\ndivide", "\n      divide");
    let text = DOCUMENTED.replace("custom: []", &custom);
    let table = parse(&text).unwrap_or_else(|error| panic!("{error}")).decoders.table().unwrap();
    assert!(table.iter().any(|decoder| decoder.layout().length == Some(0x2C)));
}

#[test]
fn a_byte_order_mark_changes_nothing() {
    for text in [
        DOCUMENTED,
        &DOCUMENTED[1..],
        "# first\nsite: home\ncapture: {type: simulator}\nsinks: [type: stdout]\n",
    ] {
        let marked = parse(&["\u{feff}", text].concat()).unwrap();
        assert_eq!(marked.to_yaml().unwrap(), parse(text).unwrap().to_yaml().unwrap());
    }
}

#[test]
fn the_example_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let written = config::load(&path).unwrap().to_yaml().unwrap();
    let keys =
        written.lines().filter_map(|line| line.trim_start_matches([' ', '-']).split_once(':'));
    for (key, _) in keys {
        let key = key.trim_matches('\'');
        assert!(
            text.contains(&format!("{key}:")) || text.contains(&format!("\"{key}\":")),
            "{key}"
        );
    }
}

#[test]
fn defaults_are_those_of_the_documents() {
    let text = "timezone: Europe/London\ncapture: {type: replay, path: day.pcap}\n\
                sinks: [{type: stdout}, {type: sqlite}]\n";
    let expected = "\
timezone: Europe/London
shutdown_timeout: 10s
capture:
  type: replay
  path: day.pcap
  speed: max
devices:
  only_listed: false
  max: 32
  list: []
decoders:
  experimental:
    '0x27': false
    '0x2B': false
    '0x36': false
    '0x37': false
    '0x38': false
    '0x3A': false
    eddi: false
    harvi: false
    minute_history: false
    status: false
    zappi: false
  custom: []
  plausibility: withhold
sinks:
- name: stdout
  type: stdout
- name: sqlite
  type: sqlite
  path: energi.db
  retention:
    samples: 30d
  flush_interval: 5s
";
    assert_eq!(parse(text).unwrap().to_yaml().unwrap(), expected);

    let text = "capture: {type: simulator}\nsinks: [type: stdout]\n";
    let Capture::Simulator(simulator) = parse(text).unwrap().capture else { panic!() };
    assert_eq!((simulator.devices, simulator.seed), (SimulatedDevices::Eddis(1), 7));
    assert_eq!(simulator.speed, Speed::Times(1.0));
}

#[test]
fn an_empty_section_has_its_defaults() {
    let text = "devices:\n  # max: 5\ndecoders:\ncapture: {type: live, interface: eth0}\n\
                sinks:\n  - type: sqlite\n    retention:\n";
    assert_eq!(parse(text).unwrap().devices.max, 32);
}

#[test]
fn variables_inside_text_may_hold_anything() {
    let environment = |name: &str| (name == "WHERE").then(|| "a: [b # ${X}".to_owned());
    let text = "capture: {type: replay, path: \"$$${WHERE}\"}\nsinks: [type: stdout]\n";
    let config = config::parse(text, Path::new("config.yaml"), &environment).unwrap();
    let Capture::Replay(replay) = &config.capture else { panic!() };
    assert_eq!(replay.path, Path::new("$a: [b # ${X}"));
    let again = parse(&config.to_yaml().unwrap()).unwrap();
    assert_eq!(again.capture, config.capture);
}

#[test]
fn digits_are_text_where_text_is_wanted() {
    let text = "site: 007\ncapture: {type: live, interface: 5}\nsinks: [{type: sqlite, path: 1e3}]";
    let config = parse(text).unwrap();
    assert_eq!(config.site.as_deref(), Some("007"));
    let AnyConfig::Sqlite(sqlite) = &config.sinks[0].config else { panic!() };
    assert_eq!(sqlite.path, Path::new("1e3"));
}

#[test]
fn a_custom_decoder_stands_behind_the_same_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/research.yaml");
    let table = config::load(&path).unwrap().decoders.table().unwrap();
    let keys: Vec<String> = table
        .iter()
        .filter(|decoder| decoder.layout().length == Some(0x2C))
        .flat_map(|decoder| decoder.layout().fields.iter().map(|field| field.key().to_owned()))
        .collect();
    assert_eq!(keys, ["0x2C/tank_temp", "0x2C/counter", "0x2C/busy"]);
}

#[test]
fn every_error_is_reported_with_its_place() {
    let mut differences = Vec::new();
    for (text, expected) in wrong::WRONG {
        let errors = config::parse(text, Path::new("config.yaml"), &nothing_set).unwrap_err();
        let place = |fault: &Fault| match fault.position {
            Some((line, column)) => format!("{line}:{column}"),
            None => String::new(),
        };
        let as_expected = errors.faults.len() == expected.len()
            && errors.faults.iter().zip(*expected).all(|(fault, (wanted, path, word))| {
                place(fault) == *wanted && fault.path == *path && fault.message.contains(word)
            });
        if !as_expected {
            differences.push(format!("{text}\n{errors}\nwanted {expected:?}\n"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_sink_left_out_of_the_build_says_how_to_get_it() {
    for name in TYPES.iter().filter(|name| !BUILT.contains(name)) {
        let text = format!("capture: {{type: simulator}}\nsinks: [type: {name}]\n");
        let said = parse(&text).unwrap_err();
        assert!(said.contains(&format!("--features {name}")), "{said}");
    }
}

#[test]
fn errors_show_their_number_with_their_lines() {
    let said = parse("sit: a\ncapture: {type: simulator}\nsinks: [{type: stdout, hots: 1}]\n");
    let said = said.unwrap_err();
    for part in
        ["2 errors", "config.yaml:1:1: sit", "1 | sit: a", "config.yaml:3:24: sinks[0].hots"]
    {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
}

#[test]
fn any_value_may_be_quoted_or_a_variable() {
    let environment = |name: &str| {
        let value = match name {
            "SERIAL" => "17589669",
            "FLAG" => "true",
            "SPEED" => "60",
            "TIMEOUT" => "4",
            "PRICE" => "0.25",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text = "shutdown_timeout: ${TIMEOUT}
tariff: {import: \"${PRICE}\", currency: GBP}
capture: {type: simulator, speed: \"${SPEED}\", seed: \"7\"}
devices: {only_listed: \"${FLAG}\", list: [{serial: \"${SERIAL}\"}, {serial: \"12345678\"}]}
sinks: [type: stdout]
";
    let config = config::parse(text, Path::new("config.yaml"), &environment)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.shutdown_timeout.duration().as_secs(), 4);
    assert_eq!(config.tariff.unwrap().flat_saving(), Some(0.25));
    assert!(config.devices.only_listed);
    let serials: Vec<u32> = config.devices.list.iter().map(|device| device.serial).collect();
    assert_eq!(serials, [17_589_669, 12_345_678]);
}

#[test]
fn an_unusable_file_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let said = |path: &Path| config::load(path).unwrap_err().to_string();
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("latin1.yaml"), b"site: home\ntimezone: Z\xfcrich\n").unwrap();
    std::fs::write(file("large.yaml"), vec![b'#'; 2 << 20]).unwrap();
    for (name, place, word) in [
        ("", ": ", "directory"),
        ("absent.yaml", ": ", "no such file"),
        ("latin1.yaml", ":2:12: ", "UTF-8"),
        ("large.yaml", ": ", "1 MiB"),
    ] {
        let said = said(&file(name));
        assert!(said.starts_with(&format!("{}{place}", file(name).display())), "{said}");
        assert!(said.contains(word), "{said}");
    }
}
