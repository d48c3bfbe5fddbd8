//! Promises of the files of examples/fleet/, at the replicated servers that they describe: no loss
//! when one of them is killed, and no site that reaches what is another's.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use energi_gateway::capture::pcapng::PcapngWriter;
use energi_gateway::capture::simulator::{Household, Settings};
use jiff::tz::TimeZone;
use serde_json::Value;

use support::gateway::{Sandbox, root, stderr, stdout};
use support::mosquitto::{Listener, until};
#[cfg(all(feature = "nats", feature = "postgres"))]
use support::nats::ask_as;
#[cfg(feature = "postgres")]
use support::postgres::Postgres;
use support::process::{Running, free_port, installed};
use support::victoria::{Sample, Victoria};

/// A site whose frames are in a file of its folder.
struct Site {
    sandbox: Sandbox,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    /// A site with ten minutes of an eddi.
    fn new(name: &str, serial: u32) -> Self {
        let sandbox = Sandbox::new();
        let mut settings = Settings::new("2026-06-20T10:00:00Z".parse().unwrap(), TimeZone::UTC);
        settings.serial = serial;
        let mut household = Household::new(settings);
        let file = File::create(sandbox.path("site.pcapng")).unwrap();
        let mut capture = PcapngWriter::new(file, None).unwrap();
        for _ in 0..1_000 {
            let (time, frame) = household.next_frame().unwrap();
            capture.write(time, frame).unwrap();
        }
        let folder = sandbox.path("").display().to_string();
        let variables = vec![
            ("SITE", name.to_owned()),
            ("SERIAL", serial.to_string()),
            ("STATE_DIRECTORY", folder.clone()),
            ("CREDENTIALS_DIRECTORY", folder),
        ];
        Self { sandbox, variables }
    }

    /// The gateway of the site, with the configuration of an example whose capture is `capture`.
    fn gateway(&self, example: &str, capture: &str) -> Command {
        let text = std::fs::read_to_string(file(example)).unwrap();
        let live = "  type: live\n  interface: eth0\n";
        assert!(text.contains(live), "{example}");
        let path = self.sandbox.write("site.yaml", text.replace(live, capture));
        let mut command = self.sandbox.program(&["run", "-c", path.to_str().unwrap()]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Sends the frames of the file.
    fn replay(&self, example: &str, servers: &[(&str, String)]) -> Result<(), String> {
        let capture = "  type: replay\n  path: site.pcapng\n";
        let servers = servers.iter().map(|(name, value)| (*name, value));
        let output = self.gateway(example, capture).envs(servers).output().unwrap();
        if output.status.success() { Ok(()) } else { Err(stderr(&output)) }
    }

    /// Time, key and value of everything that a gateway makes of the frames: a flag is a number.
    fn values(&self) -> BTreeSet<(String, String, String)> {
        self.values_with("{}")
    }

    /// The same, with these decoders.
    fn values_with(&self, decoders: &str) -> BTreeSet<(String, String, String)> {
        let text = format!(
            "capture: {{type: replay, path: site.pcapng}}\ndecoders: {decoders}\nsinks: [{{type: stdout}}]\n"
        );
        self.sandbox.write("stdout.yaml", text);
        let decoded = self.sandbox.run(&["run", "-c", "stdout.yaml"]);
        let mut values = BTreeSet::new();
        for line in stdout(&decoded).lines() {
            let reading: Value = serde_json::from_str(line).unwrap();
            let time = reading["time"].as_str().unwrap();
            for (key, value) in reading["fields"].as_object().unwrap() {
                let number = value
                    .as_f64()
                    .or_else(|| value.as_bool().map(|flag| f64::from(u8::from(flag))));
                let number = number.unwrap().to_string();
                values.insert((time.to_owned(), key.clone(), number));
            }
        }
        assert!(values.len() > 1_000);
        values
    }
}

fn file(name: &str) -> PathBuf {
    root().join("examples/fleet").join(name)
}

/// The lines of a file for `PostgreSQL`, without its comments and the address to listen on, which is
/// this machine's in a test.
#[cfg(feature = "postgres")]
fn options(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("listen"));
    lines.map(|line| line.replace(['\'', ' '], "")).collect()
}

#[cfg(feature = "postgres")]
fn run(server: &mut Postgres, options: &[String]) {
    server.run(&options.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Time, key and value of what a site stored of a device, each of which is there once.
#[cfg(feature = "postgres")]
fn rows(server: &Postgres, serial: u32, site: &str) -> BTreeSet<(String, String, String)> {
    let rows = server.ask(&format!(
        "SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), key, value
         FROM reading WHERE serial = {serial} AND site = '{site}'"
    ));
    let mut found = BTreeSet::new();
    for row in rows.lines() {
        let mut cells = row.split('|').map(str::to_owned);
        let mut cell = || cells.next().unwrap();
        assert!(found.insert((cell(), cell(), cell())), "{row} is there twice");
    }
    found
}

#[cfg(feature = "postgres")]
#[test]
fn a_promoted_replica_has_every_reading() {
    let Some(mut primary) = Postgres::start() else { return };
    let mut replica = primary.replica();
    run(&mut replica, &options("postgres/replica.conf"));
    primary.kill();
    run(&mut primary, &options("postgres/primary.conf"));
    primary.run_file(&root().join("sinks/src/postgres/schema.sql"), &[]);
    primary.run_file(&file("postgres/roles.sql"), &[]);
    for site in ["mill-lane-4", "mill-lane-5"] {
        let variables = [("site", site), ("password", "secret")];
        primary.run_file(&file("postgres/site.sql"), &variables);
    }
    let servers = [
        ("DATABASE_HOSTS", format!("127.0.0.1:{},127.0.0.1:{}", primary.port, replica.port)),
        ("DATABASE_SSLMODE", "disable".to_owned()),
    ];
    let sites = [Site::new("mill-lane-4", 4), Site::new("mill-lane-5", 5)];
    for site in &sites {
        site.sandbox.write("postgres", "secret");
    }
    sites[0].replay("postgres/site.yaml", &servers).unwrap();
    primary.kill();
    replica.promote();
    sites[1].replay("postgres/site.yaml", &servers).unwrap();
    for (serial, site) in [(4, &sites[0]), (5, &sites[1])] {
        assert_eq!(rows(&replica, serial, &format!("mill-lane-{serial}")), site.values());
    }
    let dashboard = std::fs::read_to_string(root().join("examples/grafana/fleet.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = variables.iter().filter(|it| it["type"] == "query").map(|it| &it["query"]);
    for query in queries.chain(targets.map(|target| &target["rawSql"])) {
        let query = query.as_str().unwrap();
        let sql = query
            .replace("now()", "'2026-06-20T10:10:00Z'::timestamptz")
            .replace("$site", "mill-lane-4")
            .replace("$serial", "4")
            .replace("$__timeFilter(", "'2026-06-20' <= (")
            .replace(
                "$__timeGroupAlias(time, $__interval)",
                "date_bin('1 min', time, '2026-01-01')",
            );
        let rows = replica.ask(&sql);
        assert!(!rows.is_empty() || query.contains("daily_energy"), "{sql}");
    }
    for sql in [
        "INSERT INTO reading (serial, time, packet, key, site) VALUES (4, now(), '', '', 'mill-lane-4')",
        "SELECT count(*) FROM reading",
        "DELETE FROM reading",
        "DROP TABLE reading",
    ] {
        let refused = replica.query("mill-lane-5", "secret", "energy", sql);
        assert!(refused.is_err(), "{sql}: {refused:?}");
    }
}

#[cfg(feature = "influxdb")]
#[test]
fn two_replicas_get_every_point() {
    let (Some(agent), Some(auth)) = (installed("vmagent"), installed("vmauth")) else { return };
    let (Some(mut first), Some(second)) = (Victoria::start(), Victoria::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (agent_port, auth_port) = (free_port(), free_port());
    let urls = [&first, &second].map(|it| format!("-remoteWrite.url={}/api/v1/write", it.url()));
    let buffer = format!("-remoteWrite.tmpDataPath={}", folder.path().join("vmagent").display());
    let listen = |port| format!("-httpListenAddr=127.0.0.1:{port}");
    let quiet = |command: &mut Command| {
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let _agent = quiet(Command::new(agent).args(urls).args([buffer, listen(agent_port)]));
    let users = std::fs::read_to_string(file("victoria-metrics/vmauth.yml")).unwrap();
    let users = users.replace("127.0.0.1:8429", &format!("127.0.0.1:{agent_port}"));
    let path = folder.path().join("vmauth.yml");
    std::fs::write(&path, users.replace("change-me", "secret")).unwrap();
    let users = format!("-auth.config={}", path.display());
    let _auth = quiet(Command::new(auth).args([users, listen(auth_port)]));
    for port in [agent_port, auth_port] {
        until("vmagent and vmauth listen", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    let servers = [("METRICS_URL", format!("http://127.0.0.1:{auth_port}"))];
    let mut site = Site::new("mill-lane-4", 4);
    site.sandbox.write("influxdb", "wrong");
    site.replay("victoria-metrics/site.yaml", &servers).unwrap_err();
    site.sandbox.write("influxdb", "secret");
    // The first is away: vmagent keeps its part.
    first.stop();
    site.replay("victoria-metrics/site.yaml", &servers).unwrap();
    first.begin();
    let tags = r#"{"serial":"4","site":"mill-lane-4"}"#.to_owned();
    let expected: BTreeSet<Sample> = site
        .values()
        .into_iter()
        .map(|(time, key, value)| {
            let time: jiff::Timestamp = time.parse().unwrap();
            (format!("myenergi_{key}"), tags.clone(), time.as_millisecond(), value)
        })
        .collect();
    for replica in [&second, &first] {
        until("a replica has every point", || replica.samples() == expected);
    }

    // A site that says it is another one.
    let text = std::fs::read_to_string(file("victoria-metrics/site.yaml")).unwrap();
    assert!(text.contains("site: \"${SITE}\""));
    site = Site::new("mill-lane-5", 5);
    site.sandbox.write("influxdb", "secret");
    site.replay("victoria-metrics/site.yaml", &servers).unwrap();
    let sites = |it: &Victoria| -> BTreeSet<String> {
        it.samples().into_iter().map(|(_, tags, _, _)| tags).collect()
    };
    until("the other site is there", || sites(&second).len() == 2);
    let spoofed = "myenergi,serial=5,site=mill-lane-4 grid_pwr=1";
    let spoof = Command::new("curl")
        .args(["-s", "-f", "-u", "mill-lane-5:secret", "--data-binary", spoofed])
        .arg(format!("http://127.0.0.1:{auth_port}/api/v2/write?org=homes&bucket=energy"))
        .status();
    assert!(spoof.unwrap().success());
    assert!(!sites(&second).contains(r#"{"serial":"5","site":"mill-lane-4"}"#));
}

/// Three nodes of NATS that are one server.
struct Cluster {
    folder: tempfile::TempDir,
    nodes: Vec<Option<Running>>,
    /// Ports to which sites connect.
    ports: Vec<u16>,
}

impl Cluster {
    /// Starts one with the files of a folder, whose sites use the variable `clients`.
    fn start(example: &str, clients: &str) -> Option<Self> {
        let program = installed("nats-server")?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["node.conf", "accounts.conf"] {
            let text = std::fs::read_to_string(file(example).join(name)).unwrap();
            std::fs::write(folder.path().join(name), text.replace("change-me", "secret")).unwrap();
        }
        let routes: Vec<_> = (0..3).map(|_| free_port()).collect();
        let addresses: Vec<_> =
            routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut cluster = Self { folder, nodes: Vec::new(), ports: Vec::new() };
        for (number, route) in routes.into_iter().enumerate() {
            let port = free_port();
            let at = |port: u16| format!("127.0.0.1:{port}");
            let node = Command::new(&program)
                .arg("-c")
                .arg(cluster.folder.path().join("node.conf"))
                .env("NODE", format!("node-{number}"))
                .env("STORE", cluster.folder.path().join(number.to_string()))
                .env("ROUTES", format!("[{}]", addresses.join(", ")))
                .envs([("CLIENTS", at(free_port())), ("MONITORING", at(free_port()))])
                .envs([("CLUSTER", at(route)), (clients, at(port))])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            cluster.nodes.push(Some(Running(node.unwrap())));
            cluster.ports.push(port);
        }
        Some(cluster)
    }

    /// The variables that name its nodes.
    fn variables(&self, names: [&'static str; 3]) -> Vec<(&'static str, String)> {
        let addresses = self.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        names.into_iter().zip(addresses).collect()
    }
}

#[cfg(feature = "mqtt")]
#[test]
fn a_site_goes_on_at_another_broker() {
    let Some(mut brokers) = Cluster::start("mqtt", "MQTT") else { return };
    let listener = Listener::new(brokers.ports[2], Some(("centre", "secret")));
    let servers = brokers.variables(["BROKER_1", "BROKER_2", "BROKER_3"]);
    // The simulated eddi.
    let site = Site::new("mill-lane-4", 17_589_669);
    site.sandbox.write("mqtt", "secret");
    let capture = "  type: simulator\n  speed: 10\n";
    let mut gateway = site.gateway("mqtt/site.yaml", capture);
    gateway.envs(servers.iter().cloned()).stdout(Stdio::null()).stderr(Stdio::null());
    let _gateway = Running(gateway.spawn().unwrap());
    let bridge = "homes/mill-lane-4/bridge/state";
    listener.wait_for(bridge, "online");
    brokers.nodes[0] = None;
    listener.forget();
    listener.wait_for(bridge, "online");
    listener.wait("a value", |heard| {
        heard
            .iter()
            .any(|it| it.topic.starts_with("homes/mill-lane-4/") && it.topic.ends_with("/grid_pwr"))
    });

    let stranger = Listener::new(brokers.ports[1], Some(("mill-lane-5", "secret")));
    stranger.publish("homes/mill-lane-4/17589669/grid_pwr", "made up", false);
    stranger.publish("homes/mill-lane-5/5/grid_pwr", "7", false);
    listener.wait_for("homes/mill-lane-5/5/grid_pwr", "7");
    assert!(listener.heard().iter().all(|it| it.payload != "made up"));
}

#[cfg(all(feature = "nats", feature = "postgres"))]
#[test]
fn a_lost_node_costs_the_centre_no_frame() {
    let Some(mut nodes) = Cluster::start("nats", "CLIENTS") else { return };
    let Some(mut database) = Postgres::start() else { return };
    database.kill();
    // There is no replica that confirms.
    let alone = options("postgres/replica.conf");
    run(&mut database, &alone);
    database.run_file(&root().join("sinks/src/postgres/schema.sql"), &[]);
    database.run_file(&file("postgres/roles.sql"), &[]);
    let variables = [("site", "centre"), ("password", "secret")];
    database.run_file(&file("postgres/site.sql"), &variables);

    let port = nodes.ports[2];
    let operator = |subject: &str, request: &str| {
        ask_as(port, ("operator", "secret"), &format!("$JS.API.{subject}"), request)
    };
    until("a node listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let stream = std::fs::read_to_string(file("nats/stream.json")).unwrap();
    // Not before the nodes have chosen a leader.
    let until_made = |subject: &str, request: &str| {
        until(subject, || operator(subject, request).is_some_and(|it| it["error"].is_null()));
    };
    until_made("STREAM.CREATE.energi", &stream);
    let consumer: Value =
        serde_json::from_slice(&std::fs::read(file("nats/consumer.json")).unwrap()).unwrap();
    let consumer = serde_json::json!({"stream_name": "energi", "config": consumer}).to_string();
    until_made("CONSUMER.DURABLE.CREATE.energi.readings", &consumer);

    let servers = nodes.variables(["NODE_1", "NODE_2", "NODE_3"]);
    let sites = [Site::new("mill-lane-4", 4), Site::new("mill-lane-5", 5)];
    for site in &sites {
        site.sandbox.write("nats", "secret");
    }
    sites[0].replay("nats/site.yaml", &servers).unwrap();
    nodes.nodes[0] = None;
    // A recording's end does not wait until the two others have chosen a leader; the next run sends
    // what waits.
    until("the other site sends", || sites[1].replay("nats/site.yaml", &servers).is_ok());

    let centres = [Sandbox::new(), Sandbox::new()];
    let _gateways = centres.each_ref().map(|sandbox| {
        sandbox.write("nats", "secret");
        sandbox.write("postgres", "secret");
        let configuration = file("nats/centre.yaml");
        let folder = sandbox.path("").display().to_string();
        let mut gateway = sandbox.program(&["run", "-c", configuration.to_str().unwrap()]);
        gateway
            .envs(servers.iter().cloned())
            .env("CONSUMER", "readings")
            .env("DATABASE_HOSTS", format!("127.0.0.1:{}", database.port))
            .env("DATABASE_SSLMODE", "disable")
            .env("STATE_DIRECTORY", &folder)
            .env("CREDENTIALS_DIRECTORY", &folder);
        let log = File::create(sandbox.path("log")).unwrap();
        Running(gateway.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    });
    until("every message is acknowledged", || {
        operator("CONSUMER.INFO.energi.readings", "")
            .is_some_and(|info| info["num_pending"] == 0 && info["num_ack_pending"] == 0)
    });
    for (serial, site) in [(4, &sites[0]), (5, &sites[1])] {
        assert_eq!(rows(&database, serial, "centre"), site.values_with("{plausibility: keep}"));
    }

    // A site that sends under another one's subject.
    let text = std::fs::read_to_string(file("nats/site.yaml")).unwrap();
    let spoof = text.replace("energi.${SITE}.frames", "energi.mill-lane-4.frames");
    let spoof =
        spoof.replace("  type: live\n  interface: eth0\n", "  type: replay\n  path: site.pcapng\n");
    let path = sites[1].sandbox.write("spoof.yaml", spoof);
    let mut site = sites[1].sandbox.program(&["check", "--connect", "-c", path.to_str().unwrap()]);
    site.envs(sites[1].variables.iter().cloned()).envs(servers.iter().cloned());
    let output = site.output().unwrap();
    let said = stdout(&output) + &stderr(&output);
    assert!(!output.status.success() && said.contains("may not do that"), "{said}");
}
