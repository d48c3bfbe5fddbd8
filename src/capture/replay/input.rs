//! Opening what is replayed: a file or standard input, gzipped or not, and how far it has been read.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gunzip::Gunzip;
use crate::capture::CaptureError;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Progress of a replay. A handle that another thread can hold.
#[derive(Debug, Clone)]
pub struct ReplayProgress {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl ReplayProgress {
    /// Bytes of the input read so far, as they are stored (compressed, where they are).
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The input's size in bytes; `None` for a stream.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }
}

/// An open input.
pub(super) struct Input {
    pub(super) bytes: Box<dyn Read + Send>,
    pub(super) progress: ReplayProgress,
}

impl Input {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display();
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => CaptureError::Missing(format!(
                "{name}: there is no such file; paths are relative to the working directory"
            )),
            ErrorKind::PermissionDenied => CaptureError::Permission(format!(
                "{name}: no permission to read it: change its owner or mode, or copy it"
            )),
            _ => CaptureError::Io(format!("{name}: cannot be opened: {error}")),
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(CaptureError::Data(format!(
                "{name}: this is a directory: name a capture file in it"
            )));
        }
        Ok(Self::new(Box::new(file), metadata.is_file().then_some(metadata.len())))
    }

    pub(super) fn new(bytes: Box<dyn Read + Send>, total: Option<u64>) -> Self {
        let progress = ReplayProgress { read: Arc::default(), total };
        let counted = Counted { inner: bytes, count: Arc::clone(&progress.read) };
        Self { bytes: Box::new(Inflated::Unknown(counted)), progress }
    }
}

struct Counted {
    inner: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

type Sniffed = io::Chain<io::Cursor<Vec<u8>>, Counted>;

/// A stream, decompressed where it begins as gzip does. It is looked at with the first read, so
/// that opening a pipe never waits for its writer.
enum Inflated {
    Unknown(Counted),
    Plain(Sniffed),
    Gzip(Box<Gunzip<Sniffed>>),
    Failed,
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self, Self::Unknown(_))
            && let Self::Unknown(mut input) = std::mem::replace(self, Self::Failed)
        {
            let mut magic = Vec::with_capacity(GZIP.len());
            input.by_ref().take(GZIP.len() as u64).read_to_end(&mut magic)?;
            let zipped = magic == GZIP;
            let whole = io::Cursor::new(magic).chain(input);
            *self =
                if zipped { Self::Gzip(Box::new(Gunzip::new(whole))) } else { Self::Plain(whole) };
        }
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(input) => input.read(buffer),
            // A first read that failed is not tried again.
            Self::Unknown(_) | Self::Failed => Ok(0),
        }
    }
}
