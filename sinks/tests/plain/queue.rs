//! Promises of a queue.
#![cfg(feature = "queue")]

mod faults;
mod order;
mod owners;

use std::path::{Path, PathBuf};

use energi_sinks::queue::{DiskQueue, Payload, QueuePosition};
use energi_sinks::settings::{QueueOptions, Size};

fn options(directory: &Path) -> QueueOptions {
    QueueOptions { path: directory.join("queue.db"), max_bytes: Size::from_mib(4), items: "points" }
}

/// A batch of three items; `number` is in each.
fn batch(number: usize) -> Payload {
    Payload::from(format!("item {number}\n").repeat(3))
}

/// The numbers of what waits, the oldest first.
async fn numbers(queue: &DiskQueue) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut after = QueuePosition::default();
    while let Some(oldest) = queue.oldest(after, 1).await.unwrap() {
        let text = oldest.payload.text();
        assert_eq!(oldest.payload.items, text.lines().count());
        let line = text.lines().next().unwrap().trim_start_matches("item ");
        numbers.push(line.split(' ').next().unwrap().parse().unwrap());
        after = oldest.through;
    }
    numbers
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
