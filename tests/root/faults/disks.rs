//! Disks that are full or read-only.

use std::fs::{self, File};
use std::process::Command;

use super::test_gateway::{TestGateway, Wishes, at_home, number_in};
use support::disk::Disk;
use support::fake_server::Mood;
use support::gateway::{Sandbox, example_day, stderr};
use support::mosquitto::until;

const ON_DISK: Wishes<'static> = Wishes { mqtt: "", influxdb: "", files: "disk/", command: None };

#[test]
fn a_full_disk_costs_no_reading() {
    at_home(|network| {
        let sandbox = Sandbox::new();
        let Some(volume) = Disk::mount(sandbox.path("disk"), "size=64m") else { return };
        let Some(mut gateway) = TestGateway::new(&network, sandbox, &ON_DISK) else { return };
        gateway.sends(1..10);
        gateway.has_everywhere(1..10);
        // With its server away the queue needs room as well.
        gateway.server.mood(Mood::Refuses(503, "unavailable"));
        volume.fill();
        gateway.sends(10..3_000);
        gateway.prints(1..3_000);
        gateway.publishes(2_999);
        gateway.says("make room");
        let stored = gateway.stored();
        assert!(
            stored.len() < 2_999 && stored.iter().copied().eq(1..=stored.len().try_into().unwrap())
        );
        assert!(volume.remount("size=64m"));
        gateway.stores(1..3_000);
        gateway.server.mood(Mood::Takes(204));
        gateway.delivers(1..3_000);
        gateway.ends();
    });
}

#[test]
fn a_read_only_disk_is_used_once_writable() {
    at_home(|network| {
        let sandbox = Sandbox::new();
        let Some(volume) = Disk::mount(sandbox.path("disk"), "size=64m,ro") else { return };
        let Some(mut gateway) = TestGateway::new(&network, sandbox, &ON_DISK) else { return };
        gateway.sends(1..60);
        gateway.prints(1..60);
        gateway.publishes(59);
        let of = |sink: &str| format!("sink=\"{sink}\"");
        for sink in ["sqlite", "influxdb"] {
            gateway.waits("it is said", || {
                gateway
                    .log()
                    .lines()
                    .any(|line| line.contains("read-only") && line.contains(&of(sink)))
            });
        }
        assert!(volume.remount("size=64m,rw"));
        gateway.has_everywhere(1..60);
        gateway.ends();
    });
}

fn lines_in(volume: &Disk) -> Vec<String> {
    let text = fs::read_to_string(volume.path().join("lines")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_on_a_full_disk_go_on_where_they_stopped() {
    at_home(|network| {
        let sandbox = Sandbox::new();
        let Some(volume) = Disk::mount(sandbox.path("disk"), "size=4m") else { return };
        let output = |command: &mut Command| {
            command.stdout(File::create(volume.path().join("lines")).unwrap());
        };
        let wishes = Wishes { command: Some(&output), ..Wishes::default() };
        let Some(mut gateway) = TestGateway::new(&network, sandbox, &wishes) else { return };
        gateway.sends(1..10);
        gateway.stores(1..10);
        until("lines are there", || lines_in(&volume).len() == 9);
        volume.fill();
        gateway.sends(10..1_000);
        gateway.stores(1..1_000);
        gateway.delivers(1..1_000);
        gateway.publishes(999);
        gateway.says_of("stdout", "No space left");
        assert!(lines_in(&volume).len() < 999);
        assert!(volume.remount("size=4m"));
        until("every line is there", || lines_in(&volume).len() >= 999);
        let numbers =
            lines_in(&volume).iter().map(|line| number_in(line).unwrap()).collect::<Vec<_>>();
        assert!(numbers.iter().copied().eq(1..1_000), "{numbers:?}");
        gateway.ends();
    });
}

#[test]
fn an_unwritable_output_costs_the_others_nothing() {
    at_home(|network| {
        let read_only = |command: &mut Command| {
            command.stdout(File::open(example_day()).unwrap());
        };
        let wishes = Wishes { command: Some(&read_only), ..Wishes::default() };
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &wishes) else { return };
        gateway.sends(1..30);
        gateway.stores(1..30);
        gateway.delivers(1..30);
        gateway.publishes(29);
        gateway.says_of("stdout", "Bad file descriptor");
        let said = gateway.ends();
        assert!(said.contains("sink=\"stdout\" readings=29"), "{said}");
    });
}

#[test]
fn a_recording_on_a_read_only_disk_ends_at_once() {
    at_home(|_| {
        let sandbox = Sandbox::new();
        let Some(_disk) = Disk::mount(sandbox.path("disk"), "size=1m,ro") else { return };
        let output = sandbox.run(&["record", "-i", "eth0", "-o", "disk/eddi.pcapng"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(74), "{said}");
        assert!(said.contains("disk/eddi.pcapng") && said.contains("Read-only"), "{said}");
    });
}
