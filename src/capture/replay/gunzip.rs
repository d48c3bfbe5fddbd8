//! Gzip, member after member.
//!
//! The library's own readers drop what they decompressed together with the damage that they then
//! meet, up to a whole buffer of good packets. This one hands it out first.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// The largest window that deflate has: any gzip file can be read.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gunzip<R> {
    input: BufReader<R>,
    member: Decompress,
    /// True if a member has ended and none has begun since.
    between: bool,
    /// Damage after the bytes that were returned last.
    damage: Option<io::Error>,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            member: Decompress::new_gzip(WINDOW_BITS),
            between: false,
            damage: None,
        }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            if self.between {
                if at_end {
                    return Ok(0);
                }
                (self.member, self.between) = (Decompress::new_gzip(WINDOW_BITS), false);
            }
            let (read, written) = (self.member.total_in(), self.member.total_out());
            let result = self.member.decompress(input, buffer, FlushDecompress::None);
            let read = as_size(self.member.total_in() - read);
            let written = as_size(self.member.total_out() - written);
            self.input.consume(read);
            match result {
                Ok(Status::StreamEnd) => self.between = true,
                Ok(Status::Ok | Status::BufError) if written > 0 || buffer.is_empty() => {}
                Ok(_) if at_end => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if read > 0 => {}
                Ok(_) | Err(_) => {
                    let damage = io::Error::new(ErrorKind::InvalidData, "corrupt gzip data");
                    if written == 0 {
                        return Err(damage);
                    }
                    self.damage = Some(damage);
                }
            }
            if written > 0 || buffer.is_empty() {
                return Ok(written);
            }
        }
    }
}

/// Returns what one call reads or writes lies in memory, so it has a size.
fn as_size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
