//! Recordings that cannot begin: the reason is named, and nothing is written.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use support::gateway::Sandbox;
use support::network::Network;
use support::process::installed;

use super::{Recording, await_frame, files, send};

#[test]
fn what_cannot_work_is_reported_before_any_write() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let program = sandbox.path("").join("there.pcapng");
    fs::write(&program, "precious").unwrap();
    for (arguments, code, word) in [
        ("-o there.pcapng", 64, "--force"),
        ("-o no/such/folder.pcapng", 74, "its folder"),
        ("-o a.pcapng --rotate 100", 64, "write a unit"),
        ("-o a.pcapng --rotate 0s", 64, "more than nothing"),
        ("-o a.pcapng --rotate soon", 64, "100MiB"),
        ("-o a.pcapng --rotate 1d --max-size 1MiB", 64, "cannot be used with"),
        ("-o - --rotate 1d", 64, "one stream"),
        ("-o a.pcapng --for soon", 64, "a duration"),
        ("-o a.pcapng --max-size 1MB", 64, "a size"),
        ("-o a.pcapng --frames 0", 64, "0 is not in"),
    ] {
        let (ended, said) = Recording::launch(&sandbox, &network.home, arguments).end();
        assert_eq!(ended, Some(code), "{arguments}: {said}");
        assert!(said.contains(word), "{arguments}: {said}");
    }
    assert_eq!(fs::read_to_string(&program).unwrap(), "precious");
    assert_eq!(files(&sandbox), [program], "nothing else was made");
}

#[test]
fn two_recordings_do_not_write_one_file() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let first = Recording::start(&sandbox, &network.home, "-o eddi.pcapng");
    let second = Recording::launch(&sandbox, &network.home, "-o eddi.pcapng --force");
    let (code, said) = second.end();
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("another process"), "{said}");
    send(&mut network.world.sender("eth0"), [1]);
    await_frame(&sandbox.path("eddi.pcapng"), 1);
    first.signal(Signal::TERM);
    first.ends_well();
}

#[test]
fn without_permission_no_file_is_made() {
    let Some(network) = Network::new() else { return };
    let Some(setpriv) = installed("setpriv") else { return };
    let sandbox = Sandbox::new();
    let program = sandbox.program(&["record", "-i", "eth0", "-o", "eddi.pcapng"]);
    let mut command = Command::new(setpriv);
    command.arg("--bounding-set=-net_raw").arg(program.get_program()).args(program.get_args());
    command.current_dir(sandbox.path(""));
    let output = network.home.inside(&command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("sudo setcap cap_net_raw+ep "), "{said}");
    assert!(files(&sandbox).is_empty());
}
