//! A history whose file is slow, locked or suddenly read-only.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::test_gateway::{TestGateway, Wishes, at_home};
use support::gateway::Sandbox;
use support::process::{Running, installed};
use support::skip::skip;

/// The kernel's answers to the thread that writes the history, changed by `strace` until this is
/// gone.
struct Tampered(Running);

impl Tampered {
    /// Attaches to the gateway; `None` where the test has been skipped.
    fn with(gateway: &TestGateway, inject: &str) -> Option<Self> {
        let tracer = installed("strace")?;
        let tasks = fs::read_dir(format!("/proc/{}/task", gateway.process.0.id())).unwrap();
        let thread = tasks
            .map(|task| task.unwrap().path())
            .find(|task| fs::read_to_string(task.join("comm")).unwrap().trim() == "sqlite")
            .unwrap();
        let mut command = Command::new(tracer);
        command.args(["--quiet=none", "-o", "/dev/null", "-e", inject, "-p"]);
        command.arg(thread.file_name().unwrap()).stderr(Stdio::piped());
        let mut tracer = Running(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(tracer.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
        if !line.contains("attached") {
            skip(&format!("it traces a process, which this machine does not allow: {line}"));
            return None;
        }
        Some(Self(tracer))
    }

    fn ends(mut self) {
        // So asked it lets the thread go on as it was.
        kill_process(Pid::from_child(&self.0.0), Signal::INT).unwrap();
        self.0.0.wait().unwrap();
    }
}

#[test]
fn a_history_on_a_slow_disk_is_whole_in_the_end() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        let inject = "inject=fsync,fdatasync:delay_enter=1500000";
        let Some(slow) = Tampered::with(&gateway, inject) else { return };
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.delivers(1..60);
        gateway.publishes(59);
        gateway.stores(1..60);
        slow.ends();
        gateway.sends(60..70);
        gateway.has_everywhere(1..70);
        gateway.ends();
    });
}

#[test]
fn a_locked_history_is_whole_in_the_end() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        let other = gateway.history();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.delivers(1..60);
        gateway.publishes(59);
        // It waits for five seconds before it says so.
        gateway.says_of("sqlite", "write lock");
        other.execute_batch("ROLLBACK").unwrap();
        gateway.has_everywhere(1..60);
        gateway.ends();
    });
}

#[test]
fn a_disk_that_turns_read_only_costs_nothing() {
    at_home(|network| {
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &Wishes::default())
        else {
            return;
        };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        // As ext4 does by itself when its device fails; a test cannot mount one read-only that is
        // in use.
        let inject = "inject=pwrite64,ftruncate,fsync,fdatasync:error=EROFS";
        let Some(failing) = Tampered::with(&gateway, inject) else { return };
        gateway.sends(10..60);
        gateway.prints(1..60);
        gateway.delivers(1..60);
        gateway.publishes(59);
        gateway.says_of("sqlite", "trying again");
        failing.ends();
        gateway.has_everywhere(1..60);
        let said = gateway.ends();
        assert!(said.contains("sink available again sink=\"sqlite\""), "{said}");
        assert!(!said.contains("corrupt"), "{said}");
    });
}
