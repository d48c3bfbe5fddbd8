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

impl Only {
    /// Returns whether a frame is to be saved.
    pub(super) fn takes(self, frame: &[u8], decoders: &DecoderTable) -> bool {
        match self {
            Self::All => true,
            Self::Known => is_known(frame, decoders),
            Self::Unknown => !is_known(frame, decoders),
        }
    }
}

/// Returns whether the decoders read the whole frame.
fn is_known(frame: &[u8], decoders: &DecoderTable) -> bool {
    let Ok(frame) = Frame::parse(frame) else { return false };
    let mut records = frame.records();
    let read =
        records.by_ref().all(|record| decoders.decode(&record).any(|decoded| decoded.is_ok()));
    read && records.rest().first().is_none_or(|byte| *byte == 0)
}
