//! What an outbox promises.
#![cfg(feature = "influxdb")]

mod faults;
mod owners;
mod queue;

use std::path::{Path, PathBuf};

use energi_sinks::outbox::{Outbox, Parcel, Plan, Ticket};
use energi_sinks::settings::Size;

fn plan(directory: &Path) -> Plan {
    Plan { path: directory.join("queue.db"), max_bytes: Size::from_mib(4), items: "points" }
}

/// A parcel of three items; `number` is in each.
fn parcel(number: usize) -> Parcel {
    Parcel { text: format!("item {number}\n").repeat(3), items: 3 }
}

/// The numbers of what waits, the oldest first.
async fn numbers(outbox: &Outbox) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut after = Ticket::default();
    while let Some(bundle) = outbox.oldest(after, 1).await.unwrap() {
        assert_eq!(bundle.parcel.items, bundle.parcel.text.lines().count());
        let line = bundle.parcel.text.lines().next().unwrap().trim_start_matches("item ");
        numbers.push(line.split(' ').next().unwrap().parse().unwrap());
        after = bundle.through;
    }
    numbers
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
