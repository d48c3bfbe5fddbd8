//! `stdout`: one line of JSON a reading on standard output.
//!
//! ```json
//! {"time":"2026-06-20T11:02:03.123456Z","serial":17589669,"mac":"70:b3:d5:0c:65:a5","packet":"0x22","experimental":false,"fields":{"grid_pwr":-12,"gen_pwr":1543,"divert_pwr":1180}}
//! ```
//!
//! A line is written as soon as its reading is there. Delivered means: the operating system has
//! taken the bytes. Nothing is lost but what a slow reader makes a live gateway miss; that is
//! counted.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use energi_decoders::Reading;
use energi_decoders::json::Json;
use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use crate::runner::AT_ONCE;
use crate::sink::{Batching, Context, Sink, SinkConfig, SinkError, Written};

/// Standard output has no options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutConfig {}

#[async_trait]
impl SinkConfig for StdoutConfig {
    async fn open(&self, _context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        // Unbuffered, so that what was written is known when a write fails.
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        Ok(Box::new(Stdout { output: Arc::new(output.into()), lines: String::new(), written: 0 }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Ok("standard output is open".to_owned())
    }

    fn writes_to_stdout(&self) -> bool {
        true
    }
}

struct Stdout {
    output: Arc<File>,
    /// The lines of a batch; empty between batches.
    lines: String,
    /// Number of these bytes that the operating system has accepted.
    written: usize,
}

#[async_trait]
impl Sink for Stdout {
    fn batching(&self) -> Batching {
        AT_ONCE
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let mut lines = std::mem::take(&mut self.lines);
        // Otherwise this is the batch that failed before: its rest is still to be written.
        if lines.is_empty() {
            self.written = 0;
            for reading in batch {
                // Into text a write cannot fail.
                let _infallible = writeln!(lines, "{}", Json(reading));
            }
        }
        let (output, from) = (Arc::clone(&self.output), self.written);
        // A reader that does not read blocks the write: that must not hold up the other sinks.
        let write = tokio::task::spawn_blocking(move || {
            let (taken, result) = write_from(&output, &lines.as_bytes()[from..]);
            (lines, from + taken, result)
        });
        let result;
        (self.lines, self.written, result) = write.await.map_err(|error| failed(error.into()))?;
        if result.is_ok() {
            self.lines.clear();
        }
        result.map(|()| Written::all(batch.len())).map_err(failed)
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Keeps the lines of several stdout sinks whole: each batch goes out in one piece.
static TURN: Mutex<()> = Mutex::new(());

/// Writes all of `bytes`, and says how many were taken also where that fails.
fn write_from(mut output: &File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = 0;
    while taken < bytes.len() {
        match output.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Some other program made the terminal or pipe non-blocking: a full one is no failure.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(output, PollFlags::OUT)];
                if let Err(error) = poll(&mut room, None) {
                    return (taken, Err(error.into()));
                }
            }
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: io::Error) -> SinkError {
    match error.kind() {
        ErrorKind::BrokenPipe => SinkError::Closed,
        _ => SinkError::transient(format!("cannot write to standard output: {error}")),
    }
}
