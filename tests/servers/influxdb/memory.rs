//! Memory that a long absence costs: none.

use std::fs;

use super::{Fed, until};
use support::fake_server::{FakeServer, Mood};
use support::gateway::{example_day, stdout};

/// Returns what a gateway has in memory now, and had at most, in KiB.
fn memory(fed: &Fed) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", fed.gateway.0.id())).unwrap();
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (kib("VmRSS:"), kib("VmHWM:"))
}

#[test]
fn a_week_of_points_takes_the_memory_of_a_day() {
    let server = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let mut fed = Fed::start(&server.url(), "");
    let day = fs::read(example_day()).unwrap();
    let waits = |fed: &mut Fed, days: usize| {
        fed.feed(&day);
        until("a day takes longer", || fed.printed().lines().count() >= days * 53_900);
        memory(fed)
    };
    let (_, of_a_day) = waits(&mut fed, 1);
    for days in 2..=7 {
        waits(&mut fed, days);
    }
    until("a week of points waits", || {
        let status = stdout(&fed.sandbox.run(&["queue", "status"]));
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() > 370_000
    });
    server.mood(Mood::Takes(204));
    fed.is_said("no points wait");
    let (now, most) = memory(&fed);
    // The queue is about 45 MiB by then.
    assert!(most <= of_a_day + 4 * 1024, "{most} KiB after {of_a_day}");
    println!("{of_a_day} KiB at most with a day, {most} with a week, {now} now");
    let lines = fed.end().lines().count();
    assert!(server.taken().len() >= lines);
}
