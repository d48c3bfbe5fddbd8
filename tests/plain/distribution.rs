//! Contents of packages, containers and releases agree with the rest of the project.

use std::collections::BTreeSet;
use std::fs;

use energi_gateway::config;
use serde_yaml::Value;
use support::gateway::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The configuration at `path`, where the environment has a secret for each name.
fn configuration(path: &str) -> config::Config {
    let text = read(path);
    let parsed = config::parse(&text, path.as_ref(), &|name| Some(format!("hunter2-{name}")));
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

/// The values of all keys of that name, wherever they are.
fn all<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    match value {
        Value::Mapping(map) => map
            .iter()
            .flat_map(|(name, value)| {
                let here = (name == key).then_some(value);
                here.into_iter().chain(all(value, key))
            })
            .collect(),
        Value::Sequence(list) => list.iter().flat_map(|value| all(value, key)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_installed_configurations_are_valid() {
    for path in ["packaging/debian/config.yaml", "packaging/docker/gateway.yaml"] {
        let config = configuration(path);
        assert!(config.capture.is_live(), "{path}");
    }
    // So is what the package's one comments out.
    let text = read("packaging/debian/config.yaml");
    let (kept, offered) = text.split_once("  # Home Assistant").unwrap();
    let offered: String = offered
        .lines()
        .filter_map(|line| line.strip_prefix("  # "))
        .filter(|line| line.starts_with("- ") || line.starts_with("  "))
        .flat_map(|line| ["  ", line, "\n"])
        .collect();
    let text = format!("{kept}{offered}");
    let config = config::parse(&text, "config.yaml".as_ref(), &|_| None);
    assert_eq!(config.unwrap_or_else(|errors| panic!("{errors}\n{text}")).sinks.len(), 3);
}

#[test]
fn every_package_has_the_version_of_the_program() {
    let changelog = read("packaging/debian/changelog");
    let newest = format!("energi-gateway ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(
        changelog.starts_with(&newest),
        "{newest}: write an entry into packaging/debian/changelog"
    );
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(yaml("packaging/home-assistant/config.yaml")["version"], version);
    let label = format!("io.hass.version=\"{version}\"");
    assert!(read("packaging/home-assistant/Dockerfile").contains(&label), "{label}");
}

#[test]
fn the_containers_find_what_they_need() {
    let text = read("packaging/docker/compose.yaml");
    let compose = yaml("packaging/docker/compose.yaml");
    for volume in all(&compose, "volumes").iter().filter_map(|list| list.as_sequence()).flatten() {
        let from = volume.as_str().unwrap().split(':').next().unwrap();
        let exists = match from.strip_prefix('.') {
            Some(_) => root().join("packaging/docker").join(from).exists(),
            None => compose["volumes"].get(from).is_some(),
        };
        assert!(exists, "{from}");
    }
    let names = |text: &str, end: char| -> BTreeSet<String> {
        let names = text.split("${").skip(1);
        names.map(|rest| rest.split(end).next().unwrap().to_owned()).collect()
    };
    let needed = names(&text, ':');
    let example = read("packaging/docker/example.env");
    let given: BTreeSet<_> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('=').unwrap().0.to_owned())
        .collect();
    assert_eq!(needed, given);
    let gateway = &compose["services"]["gateway"];
    for name in names(&read("packaging/docker/gateway.yaml"), '}') {
        assert!(gateway["environment"].get(&name).is_some(), "{name}");
    }
    // What the capture needs.
    assert_eq!(gateway["network_mode"], "host");
    assert_eq!(gateway["cap_add"][0], "NET_RAW");
    assert!(gateway.get("security_opt").is_none(), "no-new-privileges takes the capability away");
}

#[test]
fn the_container_writes_where_its_servers_listen() {
    let compose = yaml("packaging/docker/compose.yaml");
    let services = &compose["services"];
    let gateway = yaml("packaging/docker/gateway.yaml");
    let sink = |kind: &str| {
        let sinks = gateway["sinks"].as_sequence().unwrap();
        sinks.iter().find(|sink| sink["type"] == kind).unwrap()
    };
    for (kind, service) in [("mqtt", "mosquitto"), ("influxdb", "influxdb")] {
        let port = services[service]["ports"][0].as_str().unwrap();
        let (published, _) = port.rsplit_once(':').unwrap();
        assert!(sink(kind)["url"].as_str().unwrap().ends_with(published), "{kind}: {published}");
    }
    let influx = &services["influxdb"]["environment"];
    for (key, variable) in [("org", "ORG"), ("bucket", "BUCKET"), ("token", "ADMIN_TOKEN")] {
        let given = influx[format!("DOCKER_INFLUXDB_INIT_{variable}")].as_str().unwrap();
        let used = sink("influxdb")[key].as_str().unwrap();
        assert_eq!(given.replace(":?write it into .env", ""), used, "{key}");
    }
    let grafana = yaml("packaging/docker/grafana/datasource.yaml");
    assert_eq!(all(&grafana, "dbName"), [&sink("influxdb")["bucket"]]);
    let folder = all(&yaml("packaging/docker/grafana/dashboards.yaml"), "path")[0].clone();
    let file = "energi-gateway.json";
    let mounted = format!("../../examples/grafana/{file}:{}/{file}:ro", folder.as_str().unwrap());
    assert!(read("packaging/docker/compose.yaml").contains(&mounted), "{mounted}");
}

#[test]
fn every_build_uses_the_rust_of_the_project() {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    for (path, line) in [
        ("packaging/docker/Dockerfile", format!("BUILD=rust:{rust}-")),
        (".github/workflows/ci.yml", format!("image: rust:{rust}-")),
    ] {
        assert!(read(path).contains(&line), "{path}: {line}");
    }
}

#[test]
fn the_workflows_run_scripts_that_exist() {
    let ci = read(".ci/run");
    let release = yaml(".github/workflows/release.yml");
    let cargo_deb = release["env"]["CARGO_DEB"].as_str().unwrap();
    assert!(ci.contains(&format!("cargo-deb@{cargo_deb}")), "one version of cargo-deb");
    for path in [".github/workflows/ci.yml", ".github/workflows/release.yml"] {
        for run in all(&yaml(path), "run") {
            let words = run.as_str().unwrap().split_whitespace();
            let scripts = words.filter(|word| word.starts_with("packaging/") || *word == ".ci/run");
            scripts.for_each(|script| assert!(root().join(script).exists(), "{path}: {script}"));
        }
    }
}
