//! A history without the right to write where it is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use support::gateway::{Sandbox, example_day, stderr, stdout};

/// Nobody in particular: `nobody` on most systems.
const STRANGER: u32 = 65_534;

#[test]
fn a_read_only_history_can_be_reported() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"{}\"}}\nsinks: [{{type: sqlite, path: energi.db}}]\n",
            example_day().display()
        ),
    );
    assert!(sandbox.run(&["run"]).status.success());
    // The program too must be where a stranger may run it.
    fs::copy(env!("CARGO_BIN_EXE_energi-gateway"), sandbox.path("program")).unwrap();
    fs::set_permissions(sandbox.path("energi.db"), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(sandbox.path(""), Permissions::from_mode(0o555)).unwrap();
    for arguments in [["report", "daily"], ["history", "export"]] {
        let mut command = Command::new(sandbox.path("program"));
        command.args(arguments).args(["--db", "energi.db"]).current_dir(sandbox.path(""));
        // Nothing is forbidden to root.
        if rustix::process::geteuid().is_root() {
            command.uid(STRANGER).gid(STRANGER);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).lines().count() > 3);
    }
    fs::set_permissions(sandbox.path(""), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_check_as_root_finds_what_a_run_would() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("history")).unwrap();
    fs::set_permissions(sandbox.path("history"), Permissions::from_mode(0o555)).unwrap();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"{}\"}}\n\
             sinks: [{{type: sqlite, path: history/energi.db}}]\n",
            example_day().display()
        ),
    );
    let said = "history is read-only";
    let checked = sandbox.run(&["check", "--connect"]);
    assert!(stdout(&checked).contains(said), "{}", stdout(&checked));
    assert_eq!(checked.status.code(), Some(74));
    let run = sandbox.run(&["run"]);
    assert!(stderr(&run).contains("read-only"), "{}", stderr(&run));
    assert_eq!(run.status.code(), Some(74));
    fs::set_permissions(sandbox.path("history"), Permissions::from_mode(0o755)).unwrap();
}
