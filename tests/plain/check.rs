//! `check` gives a verdict and a line for each part.

use support::gateway::{Sandbox, stderr, stdout};

const CONFIG: &str = "capture: {type: live, interface: eth7}\n\
                      sinks: [{type: stdout}, {type: sqlite, name: history}]\n";

#[test]
fn a_valid_configuration_is_confirmed_in_a_few_lines() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", format!("timezone: Europe/London\n{CONFIG}"));
    let checked = sandbox.run(&["check"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    let text = stdout(&checked);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for (line, words) in lines.iter().zip([
        ["config.yaml: ok", "2 sinks"],
        ["timezone", "Europe/London"],
        ["capture", "eth7"],
        ["sink", "stdout"],
        ["sink history", "sqlite"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    assert_eq!(text.matches("stdout").count(), 1, "a name that is the type: {text}");
}

#[test]
fn a_failure_does_not_end_the_check() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", CONFIG);
    let checked = sandbox.run(&["check", "--connect"]);
    assert!(!checked.status.success());
    let text = stdout(&checked);
    assert!(text.contains("capture: FAILED"), "{text}");
    assert!(text.contains("sink history: ok"), "{text}");
}

#[test]
fn a_time_zone_that_has_to_be_guessed_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", CONFIG);
    for (zone, guessed) in [("Mars/Base", true), ("Europe/Berlin", false)] {
        let checked = sandbox.program(&["check"]).env("TZ", zone).output().unwrap();
        let text = stdout(&checked);
        assert!(checked.status.success(), "{}", stderr(&checked));
        assert_eq!(text.contains("warning"), guessed, "{text}");
        assert!(text.contains(if guessed { "timezone: UTC" } else { zone }), "{text}");
    }
}

#[cfg(feature = "web")]
#[test]
fn a_page_for_everybody_on_the_network_is_a_warning() {
    let sandbox = Sandbox::new();
    let check = |options: &str| {
        let sinks = format!("sinks: [{{type: web, listen: \"0.0.0.0:8088\"{options}}}]");
        sandbox.write("config.yaml", format!("capture: {{type: simulator}}\n{sinks}\n"));
        let checked = sandbox.run(&["check"]);
        assert!(checked.status.success(), "{}", stderr(&checked));
        stdout(&checked) + &stderr(&checked)
    };
    assert!(check("").contains("no password"));
    assert!(!check(", username: me, password: p").contains("no password"));
}
