//! Captures, read from beginning to end.

use std::path::PathBuf;

use energi_decoders::Frame;
use jiff::Timestamp;
use tracing::{error, warn};

use crate::capture::Speed;
use crate::capture::replay::ReplaySource;
use crate::capture::{CaptureError, Event, Source};
use crate::platform::exit::Failure;

/// Captures that every question needs, and the form of the answer.
#[derive(Debug, clap::Args)]
pub(super) struct Captures {
    /// Captures (pcap, pcapng, gzipped or not), or - for standard input
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
}

/// End of the reading of captures, once there is something to answer with: the first failure, which
/// decides the exit code after the answer.
pub(super) type Ended = Result<(), Failure>;

impl Captures {
    /// Shows every frame of every capture to `look`, in order. A capture that is damaged is read as
    /// far as it goes.
    ///
    /// # Errors
    /// Nothing at all could be read.
    pub(super) fn read(
        &self,
        mut look: impl FnMut(&Frame<'_>, Option<Timestamp>),
    ) -> Result<Ended, Failure> {
        let mut frames = 0_u64;
        let mut ended = Ok(());
        for path in &self.captures {
            let result = ReplaySource::open(path, Speed::Max).and_then(|mut source| {
                each_frame(&mut source, |frame, time| {
                    frames += 1;
                    look(frame, time);
                })
            });
            match result.map_err(Failure::from) {
                Ok(()) => {}
                Err(failure) if ended.is_ok() => ended = Err(failure),
                Err(failure) => error!("{failure}"),
            }
        }
        if frames == 0 {
            ended?;
            warn!("no frame of this protocol is in the capture");
            return Ok(Ok(()));
        }
        Ok(ended)
    }
}

fn each_frame(
    source: &mut dyn Source,
    mut look: impl FnMut(&Frame<'_>, Option<Timestamp>),
) -> Result<(), CaptureError> {
    loop {
        match source.next()? {
            Event::Packet(packet) => {
                if let Ok(frame) = packet.frame() {
                    look(&frame, packet.time);
                }
            }
            Event::Idle => {}
            Event::End => return Ok(()),
        }
    }
}
