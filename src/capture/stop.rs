//! The wish to stop, shared by everything that may have to be interrupted.

use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised once, and wakes anyone who waits for its descriptor.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Flag>);

#[derive(Debug)]
struct Flag {
    raised: AtomicBool,
    /// `None` where the process has no descriptors left: then a wait ends by its time-out.
    wake: Option<(PipeReader, PipeWriter)>,
}

impl Default for Flag {
    fn default() -> Self {
        Self { raised: AtomicBool::new(false), wake: pipe().ok() }
    }
}

impl Stop {
    /// Asks everything to stop.
    pub fn raise(&self) {
        let raised_before = self.0.raised.swap(true, Ordering::Relaxed);
        if let (false, Some((_, writer))) = (raised_before, &self.0.wake) {
            // One byte always fits, and stays for everybody who waits.
            let mut writer = writer;
            let _ = writer.write_all(&[1]);
        }
    }

    /// Returns whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Relaxed)
    }

    /// A descriptor that becomes readable once the flag is raised.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.wake.as_ref().map(|(reader, _)| reader.as_fd())
    }
}
