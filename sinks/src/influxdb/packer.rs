//! Compresses requests.

use std::fmt;

use flate2::{Compress, CompressError, Compression, FlushCompress, Status};

/// The largest window: what `gzip` itself takes.
const WINDOW_BITS: u8 = 15;

/// Makes texts into files of gzip, one after the other with the same memory: were its third of a
/// megabyte asked for with each request, what lies between two of them would soon be as much again
/// many times over.
pub(super) struct Packer(Compress);

impl Default for Packer {
    fn default() -> Self {
        Self(Compress::new_gzip(Compression::default(), WINDOW_BITS))
    }
}

impl Packer {
    /// The text, compressed.
    ///
    /// # Errors
    /// [`CompressError`], which is not a lack of room: room is made.
    pub(super) fn pack(&mut self, text: &[u8]) -> Result<Vec<u8>, CompressError> {
        let Self(compress) = self;
        compress.reset();
        let mut packed = Vec::with_capacity(text.len() / 4 + 64);
        loop {
            let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            let rest = text.get(read..).unwrap_or_default();
            match compress.compress_vec(rest, &mut packed, FlushCompress::Finish)? {
                Status::StreamEnd => return Ok(packed),
                // There was no room for all of it.
                Status::Ok | Status::BufError => packed.reserve(text.len() / 4 + 64),
            }
        }
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_packed_reads_back(texts in prop::collection::vec(any::<Vec<u8>>(), 1..5)) {
            let mut packer = Packer::default();
            for text in texts.into_iter().chain([b"the same again ".repeat(10_000)]) {
                let (packed, mut read) = (packer.pack(&text).unwrap(), Vec::new());
                GzDecoder::new(packed.as_slice()).read_to_end(&mut read).unwrap();
                prop_assert_eq!(read, text);
            }
        }
    }
}
