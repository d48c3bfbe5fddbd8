//! The `web` sink beside a real Prometheus and a real VictoriaMetrics: what they scrape, what alert
//! rules and the dashboard make of it.
#![cfg(all(feature = "web", feature = "sqlite", feature = "influxdb"))]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::gateway::{Sandbox, example_day, root, stderr, stdout};
use support::http::{get, parameter};
use support::process::{Running, free_port, installed};
use support::skip::skip;
use support::victoria::Victoria;

const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway with a simulated household and the sinks that are wanted, and its port.
fn gateway(sandbox: &Sandbox, more: &str) -> (Running, u16) {
    let port = free_port();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: simulator, start: now}}\nsinks:\n  \
             - {{type: sqlite, path: energi.db}}\n  \
             - {{type: web, listen: \"127.0.0.1:{port}\", history: energi.db}}\n{more}"
        ),
    );
    let mut program = sandbox.program(&["run"]);
    program.stdout(Stdio::null()).stderr(fs::File::create(sandbox.path("log")).unwrap());
    let process = Running(program.spawn().unwrap());
    // Every reading has come once.
    until("it measures", || metrics(port).contains("energi_voltage_volts"));
    (process, port)
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(100));
    }
}

fn metrics(port: u16) -> String {
    get(port, "/metrics").map(|answer| String::from_utf8(answer.body).unwrap()).unwrap_or_default()
}

#[test]
fn promtool_finds_no_fault_with_the_metrics() {
    let Some(promtool) = installed("promtool") else { return };
    let sandbox = Sandbox::new();
    let (_gateway, port) = gateway(&sandbox, "");
    let metrics = metrics(port);
    for part in [
        "power_watts{",
        "voltage_volts{",
        "today_kwh{",
        "records_total{",
        "unused_total{",
        "kernel_drops_total ",
        "build_info{",
        "last_frame_timestamp_seconds{",
        "stuck_tasks ",
    ] {
        assert!(metrics.contains(&format!("\nenergi_{part}")), "{part}: {metrics}");
    }
    for count in ["received", "delivered", "rejected", "lagged", "retried"] {
        assert!(
            metrics.contains(&format!("\nenergi_sink_{count}_total{{sink=\"sqlite\"}} ")),
            "{count}"
        );
    }
    assert!(metrics.contains("\nenergi_sink_waiting{sink=\"sqlite\"} "));
    let mut check = Command::new(&promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.stdout(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success() && stderr(&checked).is_empty(), "{checked:?}");
}

#[test]
fn promtool_finds_no_fault_with_the_rules() {
    let Some(promtool) = installed("promtool") else { return };
    let rules = root().join("examples/prometheus");
    for arguments in [["test", "rules", "alerts.test.yml"], ["check", "config", "prometheus.yml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(&rules).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn schemathesis_finds_no_request_that_breaks_the_api() {
    let program = root().join("target/tools/venv/bin/schemathesis");
    if !program.is_file() {
        skip("`schemathesis` is not installed in target/tools/venv");
        return;
    }
    let sandbox = Sandbox::new();
    let (_gateway, port) = gateway(&sandbox, "");
    let mut test = Command::new(program);
    test.arg("run").arg(format!("http://127.0.0.1:{port}/api/v1/openapi.json"));
    test.args(["--checks=all", "--seed=1", "--max-examples=30", "--request-timeout=2"]);
    test.args(["--no-color", "--generation-database=none"]).current_dir(sandbox.path(""));
    let output = test.output().unwrap();
    assert!(output.status.success(), "{}", stdout(&output));
    let tested = stdout(&output).lines().any(|line| line.trim() == "Tested: 5");
    assert!(tested, "all five operations: {}", stdout(&output));
}

#[test]
fn bad_requests_cost_the_other_sinks_nothing() {
    let sandbox = Sandbox::new();
    let other = free_port();
    let more =
        format!("  - {{type: web, name: lost, listen: \"127.0.0.1:{other}\", history: no.db}}\n");
    let (_gateway, port) = gateway(&sandbox, &more);
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "a".repeat(1 << 20));
    let mut clients = Vec::new();
    for request in
        [head.as_str(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /../x HTTP/1.1\r\nHost: loc"]
    {
        for port in [port, other] {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            // The gateway may have refused before it has read all.
            let _ = client.write_all(request.as_bytes());
            clients.push(client);
        }
    }
    assert_eq!(get(other, "/api/v1/energy").unwrap().status, 503);
    let value = |family: &str, sink: &str| -> f64 {
        let metrics = metrics(port);
        let name = format!("energi_sink_{family}{{sink=\"{sink}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
    };
    let before = value("delivered_total", "sqlite");
    until("readings go on", || value("delivered_total", "sqlite") > before + 10.0);
    for sink in ["sqlite", "web", "lost"] {
        for family in ["lagged_total", "rejected_total", "retried_total"] {
            assert!(value(family, sink) < 0.5, "{sink} {family}");
        }
    }
}

#[test]
fn prometheus_accepts_every_sample_of_a_scrape() {
    let Some(prometheus) = installed("prometheus") else { return };
    let sandbox = Sandbox::new();
    let (_gateway, target) = gateway(&sandbox, "");
    let port = free_port();
    sandbox.write(
        "prometheus.yml",
        format!(
            "scrape_configs:\n  - {{job_name: energi-gateway, scrape_interval: 1s, \
             static_configs: [{{targets: [\"127.0.0.1:{target}\"]}}]}}\n"
        ),
    );
    let mut server = Command::new(prometheus);
    server.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    server.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    server.current_dir(sandbox.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running(server.spawn().unwrap());
    let query = |query: &str| -> f64 {
        let target = format!("/api/v1/query?{}", parameter("query", query));
        let Ok(answer) = get(port, &target) else { return 0.0 };
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let value = answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned);
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    };
    until("it is scraped", || query("sum(count_over_time(up[5m]))") >= 5.0);
    assert!((query("min_over_time(up[5m])") - 1.0).abs() < 1e-9, "a scrape has failed");
    let samples = query("scrape_samples_scraped");
    assert!(
        samples > 50.0 && (query("scrape_samples_post_metric_relabeling") - samples).abs() < 1e-9
    );
    assert!(query("count(energi_power_watts)") >= 3.0);
}

#[test]
fn the_dashboard_finds_what_was_scraped_or_sent() {
    let dashboard = fs::read_to_string(root().join("examples/grafana/prometheus.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let queries: Vec<(String, String)> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap().iter().map(move |it| (panel, it)))
        .map(|(panel, target)| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&panel["title"]), text(&target["expr"]).replace("$serial", "[0-9]+"))
        })
        .collect();

    // Sent by the influxdb sink: a recorded day.
    let Some(sent) = Victoria::start() else { return };
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"{}\"}}\nsinks:\n  \
             - {{type: influxdb, url: \"{}\", org: o, bucket: b}}\n",
            example_day().display(),
            sent.url()
        ),
    );
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let noon = "2026-06-20T11:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let found = |server: &Victoria, query: &str, end: i64| {
        !server.query(query, end - 600, end, "60s").is_empty()
    };
    for (title, query) in queries.iter().filter(|(_, query)| query.contains("myenergi_")) {
        assert!(found(&sent, query, noon), "sent: {title}: {query}");
    }

    // Scraped from the web sink.
    let sandbox = Sandbox::new();
    let (_gateway, port) = gateway(&sandbox, "");
    let Some(scraped) = Victoria::start() else { return };
    let import = |text: String| {
        let target = "/api/v1/import/prometheus";
        let answer = support::http::post(scraped.port(), target, text.as_bytes()).unwrap();
        assert_eq!(answer.status, 204);
    };
    import(metrics(port));
    sleep(Duration::from_secs(2));
    import(metrics(port));
    let now = jiff::Timestamp::now().as_second() + 1;
    for (title, query) in &queries {
        assert!(found(&scraped, query, now), "scraped: {title}: {query}");
    }
}
