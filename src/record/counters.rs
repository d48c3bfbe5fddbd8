//! Counters of a recording.

use std::fmt;
use std::sync::Arc;

use energi_decoders::Frame;
use energi_sinks::stats::Counter;
use indicatif::HumanCount;

use crate::capture::live::LiveCounters;

/// Counters of a recording, for its live count and its summary.
#[derive(Debug)]
pub struct RecordingCounters {
    /// Frames taken to be saved.
    pub frames: Counter,
    /// Frames among them that a disk did not take any more.
    pub lost: Counter,
    /// Bytes in all files.
    pub bytes: Counter,
    /// Files.
    pub files: Counter,
    /// Frames that were not wanted.
    pub skipped: Counter,
    /// Frames that found the queue full, since the disk was too slow.
    pub queue_full: Counter,
    /// Saved frames of other programs, and damaged ones.
    foreign: Counter,
    /// Records in the saved frames, by their length byte.
    records: Box<[Counter; 256]>,
    /// Counters of the capture.
    pub live: Arc<LiveCounters>,
}

impl RecordingCounters {
    pub(super) fn new(live: Arc<LiveCounters>) -> Self {
        Self {
            frames: Counter::default(),
            lost: Counter::default(),
            bytes: Counter::default(),
            files: Counter::default(),
            skipped: Counter::default(),
            queue_full: Counter::default(),
            foreign: Counter::default(),
            records: Box::new(std::array::from_fn(|_| Counter::default())),
            live,
        }
    }

    /// Counts a saved frame and its records.
    pub(super) fn frame(&self, frame: &[u8]) {
        self.frames.add(1);
        let Ok(frame) = Frame::parse(frame) else { return self.foreign.add(1) };
        for record in frame.records() {
            self.records[usize::from(record.length())].add(1);
        }
    }

    /// Frames that are in the files.
    #[must_use]
    pub fn saved(&self) -> u64 {
        self.frames.get().saturating_sub(self.lost.get())
    }

    /// Frames that are missing, whichever part was too slow for them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.live.kernel_drops.get() + self.queue_full.get()
    }

    /// The records in the saved frames by their length byte, such as `0x1F 12, 0x22 144`.
    #[must_use]
    pub fn records(&self) -> impl fmt::Display {
        let seen = self.records.iter().enumerate().filter(|(_, count)| count.get() > 0);
        let mut parts: Vec<_> = seen
            .map(|(length, count)| format!("{length:#04X} {}", HumanCount(count.get())))
            .collect();
        if self.foreign.get() > 0 {
            parts.push(format!("not the devices' {}", HumanCount(self.foreign.get())));
        }
        parts.join(", ")
    }
}
