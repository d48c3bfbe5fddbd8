//! Text that others chose, wherever it lands: names and labels of the configuration, paths, the words
//! of a server. It neither breaks what it lands in nor poses as something else.

#![cfg(all(feature = "stdout", feature = "sqlite", feature = "mqtt", feature = "influxdb"))]

use serde_json::Value;
use support::fake_server::{FakeServer, Mood};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::mosquitto::Mosquitto;

/// Oddities of a name, as YAML writes it: it ends points, tags, lines and markup, and clears a
/// terminal.
const NAME: &str =
    r#""Hot, \"water\"=1\n2026-01-01T00:00:00Z ERROR forged\r<b>&'\\ \e[2J\u009b2J #+/ ü\t""#;

/// The same as text.
fn name() -> String {
    serde_yaml::from_str(NAME).unwrap()
}

/// Asserts that nothing in the log steers a terminal, and that what is not the beginning of an
/// event is indented.
fn is_a_clean_log(log: &str) {
    for line in log.lines() {
        assert!(!line.replace('\t', "").contains(char::is_control), "{line:?}");
        let forged = line.starts_with("2026-01-01T00:00:00Z ERROR forged");
        assert!(line.starts_with("20") && !forged || line.starts_with("  "), "{line:?}");
    }
}

#[test]
fn names_break_no_output() {
    let Some(broker) = Mosquitto::start() else { return };
    let (sandbox, listener) = (Sandbox::new(), broker.listen());
    let server = FakeServer::start(Mood::Takes(204));
    sandbox.write(
        "config.yaml",
        format!(
            "site: {NAME}\ntimezone: UTC\ncapture: {{type: replay, path: \"{}\"}}\n\
             devices: {{list: [{{serial: 17589669, name: {NAME}}}]}}\nsinks:\n  \
             - {{type: stdout}}\n  - {{type: sqlite, path: energi.db}}\n  \
             - {{type: mqtt, url: \"{}\"}}\n  \
             - {{type: influxdb, url: \"{}\", org: {NAME}, bucket: {NAME}}}\n",
            example_day().display(),
            broker.url(),
            server.url()
        ),
    );
    let checked = sandbox.run(&["check", "--print"]);
    assert!(checked.status.success());
    let printed = stdout(&checked);
    assert!(!printed.replace('\n', "").contains(char::is_control), "{printed:?}");
    let read: Value = serde_yaml::from_str(&printed).unwrap();
    assert_eq!(
        (&read["site"], &read["devices"]["list"][0]["name"]),
        (&name().into(), &name().into())
    );

    let run = sandbox.run(&["run"]);
    assert!(run.status.success(), "{}", stderr(&run));
    is_a_clean_log(&stderr(&run));
    let lines = stdout(&run).lines().count();
    assert_eq!(server.taken().len(), lines, "a point a reading");
    // As line protocol writes it.
    let text =
        r#"Hot\,\ "water"\=1\ 2026-01-01T00:00:00Z\ ERROR\ forged\ <b>&'/\ \ [2J\ 2J\ #+/\ ü"#;
    for point in server.taken() {
        assert!(!point.contains(char::is_control), "{point:?}");
        assert!(point.contains(&format!("name={text},serial=17589669,site={text} ")), "{point}");
    }
    for request in server.requests() {
        assert!(!request.target.contains([' ', '\n', '#']) && request.target.contains("Hot%2C"));
    }
    listener.wait_for("myenergi/bridge/state", "offline");
    let heard = listener.heard();
    for message in &heard {
        assert!(!message.topic.contains(['+', '#']) && !message.topic.contains(char::is_control));
    }
    let config = heard.iter().find(|it| it.topic.starts_with("homeassistant/device/")).unwrap();
    let config: Value = serde_json::from_str(&config.payload).unwrap();
    let device = config.get("dev").or(config.get("device")).unwrap();
    assert_eq!(device["name"], name());
}

#[test]
fn a_topic_with_a_wildcard_is_refused() {
    let sandbox = Sandbox::new();
    for topic in ["a/#", "+/b", "a\\nb", "a\\0b", "$SYS/a", "", "/a", "a/"] {
        for key in ["topic: ", "discovery: {prefix: "] {
            let end = if key.contains('{') { "}" } else { "" };
            let sink = format!("{{type: mqtt, url: \"mqtt://h\", {key}\"{topic}\"{end}}}");
            sandbox
                .write("config.yaml", format!("capture: {{type: simulator}}\nsinks: [{sink}]\n"));
            let checked = sandbox.run(&["check"]);
            assert_eq!(checked.status.code(), Some(78), "{sink}: {}", stdout(&checked));
            is_a_clean_log(&stderr(&checked));
        }
    }
}

#[test]
fn foreign_text_forges_no_log_line() {
    let sandbox = Sandbox::new();
    let server =
        FakeServer::start(Mood::Refuses(503, "\u{1b}[2Jwait\\n2026 ERROR forged\r\u{9b}2J"));
    sandbox.write(
        "config.yaml",
        format!(
            "timezone: UTC\ncapture: {{type: replay, path: \"{}\"}}\nsinks:\n  \
             - {{type: sqlite, path: \"no\\n2026-01-01T00:00:00Z ERROR forged\\e[2J\\r/a.db\"}}\n  \
             - {{type: influxdb, url: \"{}\", org: o, bucket: b, \
                queue: {{path: \"q\\n2026-01-01T00:00:00Z ERROR forged\\e[2J\\r.db\"}}}}\n",
            example_day().display(),
            server.url()
        ),
    );
    let run = sandbox.run(&["run"]);
    assert!(!run.status.success());
    is_a_clean_log(&stderr(&run));
    assert!(stderr(&run).contains("wait"), "{}", stderr(&run));
    for arguments in [&["check", "--connect"][..], &["queue", "status"]] {
        let output = sandbox.run(arguments);
        let text = stdout(&output);
        assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026")), "{text}");
        is_a_clean_log(&stderr(&output));
    }
}
