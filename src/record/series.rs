//! The file that is being written, and when the next one begins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::info;

use super::file::{CaptureFile, Cut};
use super::{RecordError, RecordingCounters};
use crate::capture::pcapng::{CaptureOrigin, InterfaceStatistics};
use crate::platform::files::Existing;

/// Destination of saved frames.
#[derive(Debug)]
pub enum RecordingTarget {
    /// Standard output, as a stream for another program.
    Stdout {
        /// The most bytes.
        most: u64,
    },
    /// One file.
    File {
        /// The path.
        path: PathBuf,
        /// Treatment of an existing file.
        existing: Existing,
        /// The most bytes.
        most: u64,
    },
    /// One file after the other, each named after the moment of its beginning.
    Files {
        /// The path that their names are made from.
        path: PathBuf,
        /// Start of the next file.
        rotation: Rotation,
    },
}

/// Start of the next file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Size of a file, in bytes, that no frame may exceed.
    Size(u64),
    /// Time after which the first frame begins a new file.
    Time(Duration),
}

/// More than enough for files that begin in the same second.
const MOST_NAMESAKES: u32 = 1_000;

/// The file that is being written, or one after the other.
#[derive(Debug)]
pub(super) struct FileSeries {
    place: RecordingTarget,
    interface: String,
    system: String,
    counters: Arc<RecordingCounters>,
    current: Current,
    /// Bytes in the files before this one.
    finished: u64,
}

#[derive(Debug)]
struct Current {
    file: CaptureFile,
    opened: Instant,
    frames: u64,
    /// Number of frames that had been received when it began.
    received: u64,
    dropped: u64,
}

impl FileSeries {
    /// Makes the first file.
    pub(super) fn create(
        place: RecordingTarget,
        interface: String,
        counters: Arc<RecordingCounters>,
    ) -> Result<Self, RecordError> {
        let uname = rustix::system::uname();
        let system = format!(
            "{} {} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy()
        );
        let current = Current::begin(&place, &interface, &system, &counters)?;
        let series = Self { place, interface, system, counters, current, finished: 0 };
        series.count();
        Ok(series)
    }

    /// Adds a frame, in the next file where its time has come. Returns false where no more fits and no
    /// second file is wanted.
    pub(super) fn write(&mut self, time: Timestamp, frame: &[u8]) -> Result<bool, RecordError> {
        let size = self.current.file.size_with(frame.len());
        match self.place {
            RecordingTarget::Stdout { most } | RecordingTarget::File { most, .. }
                if size > most =>
            {
                return Ok(false);
            }
            // One frame that is too large by itself has a file of its own.
            RecordingTarget::Files { rotation: Rotation::Size(most), .. }
                if size > most && self.current.frames > 0 =>
            {
                self.next_file()?;
            }
            RecordingTarget::Files { rotation: Rotation::Time(longest), .. }
                if self.current.opened.elapsed() >= longest =>
            {
                self.next_file()?;
            }
            _ => {}
        }
        self.current.frames += 1;
        self.counters.frame(frame);
        let written = self.current.file.write(time, frame);
        self.settle(written).map(|()| true)
    }

    /// Writes what was added.
    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        let written = self.current.file.flush();
        self.settle(written)
    }

    /// Ends the last file.
    pub(super) fn finish(self) -> Result<(), RecordError> {
        let Self { current, counters, finished, .. } = self;
        let size = current.finish(&counters).map_err(|cut| {
            counters.lost.add(cut.lost);
            cut.error
        })?;
        counters.bytes.set(finished + size);
        Ok(())
    }

    fn next_file(&mut self) -> Result<(), RecordError> {
        // Where no next file can be made, this one has everything.
        self.flush()?;
        let next = Current::begin(&self.place, &self.interface, &self.system, &self.counters)?;
        let before = std::mem::replace(&mut self.current, next);
        let path = before.file.path().to_owned();
        let ended = before.finish(&self.counters);
        self.finished += self.settle(ended)?;
        info!("{} is done; {} follows", path.display(), self.current.file.path().display());
        self.count();
        Ok(())
    }

    /// Keeps the counters true after something was written, or was not.
    fn settle<T>(&self, written: Result<T, Cut>) -> Result<T, RecordError> {
        self.count();
        written.map_err(|cut| {
            self.counters.lost.add(cut.lost);
            cut.error
        })
    }

    fn count(&self) {
        self.counters.bytes.set(self.finished + self.current.file.size());
    }
}

impl Current {
    fn begin(
        place: &RecordingTarget,
        interface: &str,
        system: &str,
        counters: &RecordingCounters,
    ) -> Result<Self, RecordError> {
        let origin = CaptureOrigin { interface: Some(interface), system: Some(system) };
        let file = match place {
            RecordingTarget::Stdout { .. } => CaptureFile::stdout(origin)?,
            RecordingTarget::File { path, existing, .. } => {
                CaptureFile::create(path, *existing, origin)?
            }
            RecordingTarget::Files { path, .. } => first_free(path, Timestamp::now(), origin)?,
        };
        counters.files.add(1);
        Ok(Self {
            file,
            opened: Instant::now(),
            frames: 0,
            received: counters.live.kernel_passed.get(),
            dropped: counters.dropped(),
        })
    }

    fn finish(self, counters: &RecordingCounters) -> Result<u64, Cut> {
        let statistics = InterfaceStatistics {
            begun: self.file.begun(),
            ended: Timestamp::now(),
            received: counters.live.kernel_passed.get().saturating_sub(self.received),
            dropped: counters.dropped().saturating_sub(self.dropped),
        };
        self.file.finish(&statistics)
    }
}

/// Makes the first file of that moment that does not exist.
fn first_free(
    path: &Path,
    moment: Timestamp,
    origin: CaptureOrigin<'_>,
) -> Result<CaptureFile, RecordError> {
    let mut made = CaptureFile::create(&named(path, moment, 1), Existing::Keep, origin);
    for namesake in 2..=MOST_NAMESAKES {
        if !matches!(made, Err(RecordError::Exists(_))) {
            break;
        }
        made = CaptureFile::create(&named(path, moment, namesake), Existing::Keep, origin);
    }
    made
}

/// `eddi.pcapng` with a moment: `eddi-20260620T110203Z.pcapng`; its namesakes have `_2`, `_3` and
/// so on, which sort after it. In UTC, so that an hour that clocks show twice is in order.
fn named(path: &Path, moment: Timestamp, namesake: u32) -> PathBuf {
    let mut name = path.file_stem().map(OsString::from).unwrap_or_default();
    name.push(moment.strftime("-%Y%m%dT%H%M%SZ").to_string());
    if namesake > 1 {
        name.push(format!("_{namesake}"));
    }
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_sort_by_their_beginning() {
        let moment = "2026-06-20T11:02:03.9Z".parse().unwrap();
        let name = |path: &str, namesake| named(Path::new(path), moment, namesake);
        assert_eq!(name("day/eddi.pcapng", 1), Path::new("day/eddi-20260620T110203Z.pcapng"));
        assert_eq!(name("day/eddi.pcapng", 2), Path::new("day/eddi-20260620T110203Z_2.pcapng"));
        assert!(name("eddi.pcapng", 1) < name("eddi.pcapng", 2));
        assert_eq!(name("eddi", 1), Path::new("eddi-20260620T110203Z"));
    }
}
