//! Saving received frames in capture files, whatever the disk does.
//!
//! The capture thread only copies frames into a bounded [`FrameQueue`]; a second thread, the
//! [`FrameRecorder`], chooses among them and writes. A disk that is too slow for longer than the queue
//! lasts costs frames, which are counted, and never delays the capture.

mod counters;
mod file;
mod queue;
mod selection;
mod series;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::DecoderTable;
use thiserror::Error;

use crate::capture::live::LiveCounters;
use crate::capture::stop::Stop;
pub use counters::RecordingCounters;
pub use queue::{FrameBatch, FrameQueue};
pub use selection::Only;
use series::FileSeries;
pub use series::{RecordingTarget, Rotation};

/// Interval at which what has come is written, and so the most that `kill -9` costs.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// Reason why frames could not be saved.
#[derive(Debug, Error)]
pub enum RecordError {
    /// File that exists, and that nobody said to replace.
    #[error("{}: exists already; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// Another process writes it.
    #[error("{}: another process is recording to it", .0.display())]
    Busy(PathBuf),
    /// The operating system forbids it.
    #[error("{}: no permission to write: choose a folder that you may write to", .0.display())]
    Permission(PathBuf),
    /// Writing failed. What was written before is readable.
    #[error("{}: {doing}: {error}{}", path.display(), consequence(error))]
    Io {
        /// The file.
        path: PathBuf,
        /// Operation that failed.
        doing: &'static str,
        /// Error of the operating system.
        error: io::Error,
    },
    /// The reader of the stream has gone.
    #[error("the reader of the stream has gone")]
    ReaderGone,
}

/// Returns what to do about an error, and what it cost.
fn consequence(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; the frames before are saved and readable: make room, or limit the files with \
             --max-size"
        }
        io::ErrorKind::NotFound => ": make its folder first",
        _ => "",
    }
}

impl RecordError {
    fn io(path: &Path, doing: &'static str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            io::ErrorKind::PermissionDenied => Self::Permission(path),
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Io { path, doing, error },
        }
    }
}

/// Options of a recording.
#[derive(Debug)]
pub struct RecordingPlan {
    /// The file, or the pattern of its files.
    pub place: RecordingTarget,
    /// The interface that is named in the files.
    pub interface: String,
    /// Selection of frames.
    pub only: Only,
    /// The most frames to save.
    pub frames: Option<u64>,
}

/// Writes what the queue holds.
#[derive(Debug)]
pub struct FrameRecorder {
    series: FileSeries,
    only: Only,
    decoders: DecoderTable,
    frames: u64,
    counters: Arc<RecordingCounters>,
}

impl FrameRecorder {
    /// Makes the first file.
    ///
    /// # Errors
    /// [`RecordError`] where it cannot be made.
    pub fn create(plan: RecordingPlan, live: Arc<LiveCounters>) -> Result<Self, RecordError> {
        let counters = Arc::new(RecordingCounters::new(live));
        Ok(Self {
            series: FileSeries::create(plan.place, plan.interface, Arc::clone(&counters))?,
            only: plan.only,
            decoders: DecoderTable::built_in(),
            frames: plan.frames.unwrap_or(u64::MAX),
            counters,
        })
    }

    /// The counters, for display.
    #[must_use]
    pub fn counters(&self) -> Arc<RecordingCounters> {
        Arc::clone(&self.counters)
    }

    /// Writes until the queue is closed and empty, or a limit is reached, which raises `stop`.
    ///
    /// # Errors
    /// [`RecordError`] where a file cannot be written any more; `stop` is raised.
    pub fn run(mut self, queue: &FrameQueue, stop: &Stop) -> Result<(), RecordError> {
        let result = self.write_all(queue);
        stop.raise();
        let mut rest = FrameBatch::default();
        // What the capture counted is known when it has ended.
        while queue.take(&mut rest, WRITE_EVERY) {}
        self.counters.queue_full.set(queue.dropped());
        result.and_then(|()| self.series.finish())
    }

    fn write_all(&mut self, queue: &FrameQueue) -> Result<(), RecordError> {
        let mut batch = FrameBatch::default();
        let mut open = true;
        while open {
            open = queue.take(&mut batch, WRITE_EVERY);
            for (time, frame) in batch.frames() {
                if !self.only.takes(frame, &self.decoders) {
                    self.counters.skipped.add(1);
                    continue;
                }
                if self.counters.frames.get() == self.frames {
                    return self.series.flush();
                }
                if !self.series.write(time, frame)? {
                    return self.series.flush();
                }
            }
            self.counters.queue_full.set(queue.dropped());
            self.series.flush()?;
            if self.counters.frames.get() == self.frames {
                break;
            }
        }
        Ok(())
    }
}
