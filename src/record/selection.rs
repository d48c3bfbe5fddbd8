//! Selection of the frames to save.

use clap::ValueEnum;
use energi_decoders::{DecoderTable, Frame};

/// Selection of frames to save, by what this program can read of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Only {
    /// Every frame of the ethertype 0x88b5
    #[default]
    All,
    /// Frames of which a built-in decoder, confirmed or experimental, reads every record
    Known,
    /// All others: with a record that no built-in decoder reads, damaged, or of another program
    Unknown,
}

/// Tells frames that the built-in decoders read wholly from others.
#[derive(Debug)]
pub(super) struct FrameSelection {
    only: Only,
    decoders: DecoderTable,
}

impl FrameSelection {
    pub(super) fn new(only: Only) -> Self {
        Self { only, decoders: DecoderTable::built_in() }
    }

    pub(super) fn takes(&self, frame: &[u8]) -> bool {
        match self.only {
            Only::All => true,
            Only::Known => self.knows(frame),
            Only::Unknown => !self.knows(frame),
        }
    }

    fn knows(&self, frame: &[u8]) -> bool {
        let Ok(frame) = Frame::parse(frame) else { return false };
        let mut records = frame.records();
        let read = records
            .by_ref()
            .all(|record| self.decoders.decode(&record).any(|decoded| decoded.is_ok()));
        read && records.rest().first().is_none_or(|byte| *byte == 0)
    }
}
