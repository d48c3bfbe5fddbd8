//! A sliding window over a byte stream: parsers look at what has come, and ask for more only when
//! a block is not whole, so that a packet is delivered as soon as its bytes are there.

use std::io::{self, ErrorKind, Read};

const INITIAL: usize = 64 * 1024;

pub(super) struct Window {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    consumed: u64,
}

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: vec![0; INITIAL], start: 0, end: 0, consumed: 0 }
    }

    /// Returns what has been read and not consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Returns where in the stream the window begins.
    pub(super) fn position(&self) -> u64 {
        self.consumed
    }

    /// Reads until at least `count` bytes are in the window; false when the stream ends before.
    ///
    /// The caller bounds `count`: the buffer grows to it.
    pub(super) fn ensure(&mut self, count: usize) -> io::Result<bool> {
        while self.bytes().len() < count {
            if self.read()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Drops bytes off the window's front, at most all.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.bytes().len());
        self.start += count;
        self.consumed += count as u64;
    }

    /// Passes over `count` bytes without holding them; false when the stream ends before.
    pub(super) fn skip(&mut self, mut count: usize) -> io::Result<bool> {
        loop {
            let here = count.min(self.bytes().len());
            self.consume(here);
            count -= here;
            if count == 0 {
                return Ok(true);
            }
            if self.read()? == 0 {
                return Ok(false);
            }
        }
    }

    /// One read of whatever has come.
    fn read(&mut self) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            self.make_room();
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self) {
        if self.start == 0 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }
}
