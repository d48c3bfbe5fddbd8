//! `watch` where standard output is no terminal.

use std::process::{Command, Output};

fn watch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_energi-gateway"))
        .arg("watch")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

#[test]
fn a_device_is_a_line_every_interval_of_capture_time() {
    let day = "examples/captures/eddi-day.pcapng.gz";
    let output = watch(&[day, "--speed", "max", "--interval", "6h"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let eddi: Vec<_> = text.lines().filter(|line| line.contains("17589669")).collect();
    assert_eq!(eddi.len(), 4, "{text}");
    assert!(eddi.iter().all(|line| line.contains(" kWh") && line.contains(" W")), "{text}");
}

#[test]
fn a_capture_that_does_not_exist_is_named() {
    let output = watch(&["no-such.pcapng"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such.pcapng"));
}
