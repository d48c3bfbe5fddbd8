//! `init` writes a configuration that works, keeps the password to itself and takes nothing away.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::gateway::{Sandbox, stderr, stdout};

const ANSWERS: [&str; 15] = [
    "init",
    "--yes",
    "--interface",
    "eth7",
    "--for",
    "0",
    "--site",
    "home: here",
    "--name",
    "17589669=Hot water, \"upstairs\" ${X}",
    "--username",
    "u",
    "--password",
    "hunter2",
    "--history=energi.db",
];

#[test]
fn options_alone_give_a_valid_configuration() {
    let sandbox = Sandbox::new();
    let made = sandbox.run(&[&ANSWERS[..], &["--broker", "mqtt://127.0.0.1:1"]].concat());
    assert!(made.status.success(), "{}{}", stdout(&made), stderr(&made));
    assert!(stdout(&made).contains("FAILED"), "the broker was tried: {}", stdout(&made));

    let checked = sandbox.run(&["check", "--print"]);
    let text = stdout(&checked);
    assert!(checked.status.success(), "{}", stderr(&checked));
    for part in
        ["interface: eth7", "home: here", "Hot water, ", "$${X}", "username: u", "energi.db"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let written = fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    assert!(!written.contains("hunter2"), "{written}");
    let secret = sandbox.path("config.mqtt.password");
    assert_eq!(fs::read_to_string(&secret).unwrap().trim(), "hunter2");
    assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_existing_file_is_replaced_only_with_force() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", "mine");
    let refused = sandbox.run(&ANSWERS);
    assert_eq!(refused.status.code(), Some(74));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(sandbox.path("config.yaml")).unwrap(), "mine");
    let forced = sandbox.run(&[&ANSWERS[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(sandbox.run(&["check"]).status.success());
}

#[test]
fn a_wrong_answer_writes_no_file() {
    let sandbox = Sandbox::new();
    let wrong = sandbox.run(&[&ANSWERS[..], &["--broker", "broker"]].concat());
    assert_eq!(wrong.status.code(), Some(78));
    assert!(stderr(&wrong).contains("mqtt://"), "{}", stderr(&wrong));
    assert!(!sandbox.path("config.yaml").exists());
    assert!(!sandbox.path("config.mqtt.password").exists());
}
