//! `energi-gateway import-config`: from `mqtt-energi` to here, as a user does it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::gateway::{Sandbox, stderr, stdout};

const INI: &str = "\
[NETWORK]
NIC = eno1

[MQTT]
broker = 10.87.90.6
port = 1883
topic = myenergi-test
id = Myenergi-Bridge-1
user = bridge
pass = hunter2 # $1

[DEBUG]
enabled = True
";

#[test]
fn what_is_printed_says_what_the_old_file_said() {
    let sandbox = Sandbox::new();
    sandbox.write("config.ini", INI);
    let printed = sandbox.run(&["import-config", "config.ini"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    assert_eq!(stderr(&printed), "");
    sandbox.write("config.yaml", &printed.stdout);

    let checked = sandbox.run(&["check", "--print"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    let checked = stdout(&checked);
    for line in [
        "interface: eno1",
        "url: mqtt://10.87.90.6:1883",
        "topic: myenergi-test",
        "client_id: Myenergi-Bridge-1",
        "username: bridge",
        "password: '***'",
        "'0x3A': true",
    ] {
        assert!(checked.lines().any(|shown| shown.trim() == line), "{line}: {checked}");
    }
    let piped = sandbox.run_with_input(&["import-config", "-"], INI.as_bytes());
    assert_eq!(piped.stdout, printed.stdout);
}

#[test]
fn a_password_can_go_into_a_private_file() {
    let sandbox = Sandbox::new();
    sandbox.write("config.ini", INI);
    let import = ["import-config", "config.ini", "--password-file", "mqtt.password"];
    let printed = sandbox.run(&import);
    assert!(printed.status.success(), "{}", stderr(&printed));
    let yaml = stdout(&printed);
    assert!(!yaml.contains("hunter2"), "{yaml}");
    let path = sandbox.path("mqtt.password");
    assert!(yaml.contains(&format!("password_file: {}\n", path.display())), "{yaml}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2 # $1\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.write("config.yaml", &yaml);
    assert!(sandbox.run(&["check"]).status.success());

    let again = sandbox.run(&import);
    assert_eq!(again.status.code(), Some(74));
    assert!(stderr(&again).contains("mqtt.password"), "{}", stderr(&again));
    assert_eq!(stdout(&again), "");
}

#[test]
fn what_cannot_be_imported_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write("config.ini", INI.replace("[DEBUG]", "qos = 1\n\n[DEBUG]"));
    let output = sandbox.run(&["import-config", "config.ini"]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("config.ini:12:1: [MQTT] qos"), "{said}");

    sandbox.write("config.ini", INI.replace("1883", "mqtt").replace("NIC", "LAN"));
    let output = sandbox.run(&["import-config", "config.ini"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(stdout(&output), "");
    let said = stderr(&output);
    assert!(said.contains("[NETWORK] nic"), "{said}");
    assert!(said.contains("config.ini:6:1: [MQTT] port"), "{said}");

    let output = sandbox.run(&["import-config", "absent.ini"]);
    assert_eq!(output.status.code(), Some(66));
}
