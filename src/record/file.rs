//! One capture file, which is readable whatever happens to its disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::RecordError;
use crate::capture::pcapng::{CaptureOrigin, InterfaceStatistics, PcapngWriter, STATISTICS_SIZE};
use crate::platform::files::Existing;

/// Blocks are gathered up to this many bytes between two flushes.
const GATHER: usize = 256 << 10;

/// A file that ends with a whole block after each flush, and after one that failed, too.
#[derive(Debug)]
pub(super) struct CaptureFile {
    path: PathBuf,
    file: File,
    /// Blocks that are not in the file yet.
    pending: PcapngWriter<Vec<u8>>,
    /// Bytes in the file.
    size: u64,
    begun: Timestamp,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) error: RecordError,
    /// Packets that were given and are not in the file.
    pub(super) lost: u64,
}

impl CaptureFile {
    /// Makes the file at `path` with the header that every capture begins with.
    pub(super) fn create(
        path: &Path,
        existing: Existing,
        origin: CaptureOrigin<'_>,
    ) -> Result<Self, RecordError> {
        let file = match existing {
            Existing::Keep => OpenOptions::new().write(true).create_new(true).open(path),
            Existing::Replace => {
                OpenOptions::new().write(true).create(true).truncate(false).open(path)
            }
        };
        let file = file.map_err(|error| RecordError::io(path, "cannot be made", error))?;
        // A file system without locks is no reason not to record.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(RecordError::Busy(path.to_owned()));
        }
        if existing == Existing::Replace && is_regular(&file) {
            file.set_len(0).map_err(|error| RecordError::io(path, "cannot be emptied", error))?;
        }
        let made = existing == Existing::Keep;
        let begun = Self::begin(path.to_owned(), file, origin);
        if begun.is_err() && made {
            // There is nothing in it; where it cannot be removed it stays as it is.
            let _ = fs::remove_file(path);
        }
        begun
    }

    /// Standard output as a capture.
    pub(super) fn stdout(origin: CaptureOrigin<'_>) -> Result<Self, RecordError> {
        let path = PathBuf::from("standard output");
        let stdout = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| RecordError::io(&path, "cannot be opened", error))?;
        Self::begin(path, stdout.into(), origin)
    }

    fn begin(path: PathBuf, file: File, origin: CaptureOrigin<'_>) -> Result<Self, RecordError> {
        let pending = PcapngWriter::with_origin(Vec::new(), origin)
            .map_err(|error| RecordError::io(&path, "cannot be described", error))?;
        let mut begun = Self { path, file, pending, size: 0, begun: Timestamp::now() };
        begun.flush().map_err(|cut| cut.error)?;
        Ok(begun)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Bytes in the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The size that the file would end with, if it ended after one more packet of `length` bytes.
    pub(super) fn size_with(&mut self, length: usize) -> u64 {
        self.size
            + self.pending.get_mut().len() as u64
            + PcapngWriter::<Vec<u8>>::packet_size(length)
            + STATISTICS_SIZE
    }

    /// Adds a packet, which is in the file after the next flush.
    pub(super) fn write(&mut self, time: Timestamp, packet: &[u8]) -> Result<(), Cut> {
        self.pending.write(time, packet).map_err(|error| Cut {
            error: RecordError::io(&self.path, "cannot be written", error),
            lost: 1,
        })?;
        if self.pending.get_mut().len() < GATHER { Ok(()) } else { self.flush() }
    }

    /// Writes what is pending. Where that fails, whole blocks stay and the rest is cut off.
    pub(super) fn flush(&mut self) -> Result<(), Cut> {
        let pending = self.pending.get_mut();
        let (written, result) = write_most(&mut self.file, pending);
        let kept = if result.is_ok() { written } else { whole_blocks(pending, written) };
        self.size += kept as u64;
        let lost = count_blocks(pending.get(kept..).unwrap_or_default());
        pending.clear();
        result.map_err(|error| {
            // A stream has no length; what was sent was sent.
            let _ = self.file.set_len(self.size);
            Cut { error: RecordError::io(&self.path, "writing failed", error), lost }
        })
    }

    /// Ends the capture with what was counted. Returns its size in bytes.
    pub(super) fn finish(mut self, statistics: &InterfaceStatistics) -> Result<u64, Cut> {
        let end = self.pending.statistics(statistics);
        end.map_err(|error| Cut {
            error: RecordError::io(&self.path, "cannot be ended", error),
            lost: 0,
        })?;
        self.flush()?;
        if is_regular(&self.file) {
            // Some disks say only now that they are full or broken.
            self.file.sync_all().map_err(|error| Cut {
                error: RecordError::io(&self.path, "may not be whole on its disk", error),
                lost: 0,
            })?;
        }
        Ok(self.size)
    }
}

fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Writes until all is written or something fails, and says how much was.
fn write_most(output: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(size) => written += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// The size of the block that begins `blocks`: a type, then its length.
fn block_size(blocks: &[u8]) -> Option<usize> {
    let size = u32::from_le_bytes(*blocks.get(4..)?.first_chunk()?);
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Returns how many bytes of whole blocks the first `written` bytes of `blocks` hold.
fn whole_blocks(blocks: &[u8], written: usize) -> usize {
    let mut end = 0;
    while let Some(size) = blocks.get(end..).and_then(block_size) {
        if end + size > written {
            break;
        }
        end += size;
    }
    end
}

fn count_blocks(mut blocks: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(rest) = block_size(blocks).and_then(|size| blocks.get(size..)) {
        count += 1;
        blocks = rest;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Small(usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = bytes.len().min(self.0).min(50);
            self.0 -= size;
            if size == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(size) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_write_keeps_whole_blocks() {
        let mut writer = PcapngWriter::new(Vec::new(), Some("eth0")).unwrap();
        let mut ends = vec![writer.get_mut().len()];
        for length in [1, 60, 200] {
            writer.write(Timestamp::UNIX_EPOCH, &vec![0xaa; length]).unwrap();
            ends.push(writer.get_mut().len());
            let size = PcapngWriter::<Vec<u8>>::packet_size(length);
            assert_eq!(ends[ends.len() - 1] - ends[ends.len() - 2], usize::try_from(size).unwrap());
        }
        let blocks = writer.into_inner();
        let section = block_size(&blocks).unwrap();
        for room in 0..=blocks.len() {
            let (written, result) = write_most(&mut Small(room), &blocks);
            assert_eq!(written, room);
            assert_eq!(result.is_ok(), room == blocks.len());
            let kept = whole_blocks(&blocks, written);
            let expected = ends.iter().rev().find(|end| **end <= room).copied();
            let before_packets = if room < section { 0 } else { section };
            assert_eq!(kept, expected.unwrap_or(before_packets), "room for {room}");
            if let Some(packets) = ends.iter().position(|end| *end == kept) {
                assert_eq!(count_blocks(&blocks[kept..]), 3 - packets as u64);
            }
        }
    }

    #[test]
    fn the_statistics_take_the_room_that_is_kept_for_them() {
        let mut writer = PcapngWriter::new(Vec::new(), None).unwrap();
        let before = writer.get_mut().len() as u64;
        let moment = Timestamp::UNIX_EPOCH;
        let statistics =
            InterfaceStatistics { begun: moment, ended: moment, received: 7, dropped: 1 };
        writer.statistics(&statistics).unwrap();
        assert_eq!(writer.into_inner().len() as u64 - before, STATISTICS_SIZE);
    }
}
