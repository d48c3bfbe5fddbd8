//! A backup onto a file system that keeps its own permissions, as a share of another owner does.
#![cfg(feature = "sqlite")]

use std::process::Command;

use support::gateway::{Sandbox, example_day, stderr};
use support::process::installed;

#[test]
fn a_backup_works_where_permissions_cannot_be_set() {
    let Some(strace) = installed("strace") else { return };
    let sandbox = Sandbox::new();
    let day = example_day();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: replay, path: \"{}\"}}\nsinks: [{{type: sqlite}}]\n",
            day.display()
        ),
    );
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let program = sandbox.program(&["history", "backup", "--output", "copy.db"]);
    let output = Command::new(strace)
        .args(["-f", "-o", "calls", "-e", "trace=fchmod", "-e", "inject=fchmod:error=EPERM", "--"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let calls = std::fs::read_to_string(sandbox.path("calls")).unwrap();
    assert!(calls.contains("EPERM"), "nothing was refused: {calls}");
    let report = sandbox.run(&["report", "--db", "copy.db"]);
    assert!(report.status.success(), "{}", stderr(&report));
}
