//! `energi-gateway research export`: a capture that can be shared.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use energi_decoders::{Frame, FrameError};
use indicatif::HumanCount;
use jiff::Timestamp;
use tracing::info;

use crate::capture::Speed;
use crate::capture::pcapng::PcapngWriter;
use crate::capture::replay::ReplaySource;
use crate::capture::{CaptureError, Event, Link, Packet, Source};
use crate::platform::exit::{Exit, Failure};
use crate::research::anonymous::{Anonymiser, Identities};

/// Arguments of `research export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only frames of the devices' protocol are exported; other frames, damaged frames, comments and the \
name of the interface are left out. Unless --keep-identities is given:

- serial numbers become 10000001, 10000002 and so on in the order in which they occur, wherever their \
bytes or digits are, also in records that nobody can read yet;
- hardware addresses become 70:b3:d5:00:00:01 and so on (02:00:00:… if they are not myenergi's);
- bytes after the last record of a frame become zeros.

The same captures always become the same file. Give captures that belong together in one command: \
each device then has the same number in all of them. Times and values do not change: they show when \
somebody was at home. Records that nobody can read yet may show that, too."
)]
pub(super) struct Args {
    /// Captures (pcap, pcapng, gzipped or not)
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// The new capture
    #[arg(short, long, value_name = "FILE.pcapng")]
    output: PathBuf,
    /// Keep serial numbers and hardware addresses, which identify the devices and their owner
    #[arg(long)]
    keep_identities: bool,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Frames that were not exported.
#[derive(Debug, Default)]
struct LeftOut {
    others: u64,
    damaged: u64,
}

/// Writes the frames of the captures to a new one.
///
/// # Errors
/// A capture cannot be read to its end, though what could be read is exported; or the file cannot
/// be written.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.captures.iter().any(|path| path == Path::new("-")) {
        let message = "standard input cannot be read twice: export takes files";
        return Err(Failure::message(Exit::Usage, message));
    }
    let anonymiser = if args.keep_identities { None } else { Some(learn(&args.captures)?) };
    let output = &args.output;
    let failed = |error: io::Error| output_failure(output, &error);
    let (file, made) = create(args)?;
    // A part of a capture would be taken for the whole. A file that was there before stays.
    let discard = || {
        if made {
            let _ = fs::remove_file(output);
        }
    };
    let mut capture = PcapngWriter::new(BufWriter::new(file), None).map_err(failed)?;
    let (mut frames, mut left_out, mut ended) = (0_u64, LeftOut::default(), Ok(()));
    for path in &args.captures {
        let result = each_frame(path, &mut left_out, |time, bytes, frame| {
            frames += 1;
            match &anonymiser {
                Some(anonymiser) => capture.write(time, &anonymiser.anonymous(bytes, frame)),
                None => capture.write(time, bytes),
            }
        });
        match result {
            Ok(()) => {}
            Err(Ended::Output(error)) => {
                discard();
                return Err(failed(error));
            }
            Err(Ended::Capture(error)) if ended.is_ok() => ended = Err(Failure::from(error)),
            Err(Ended::Capture(error)) => tracing::error!("{error}"),
        }
    }
    capture.get_mut().flush().map_err(|error| {
        discard();
        failed(error)
    })?;
    if frames == 0 && ended.is_err() {
        discard();
        return ended;
    }
    let names = anonymiser.map_or(String::new(), |anonymiser| {
        format!(
            "; replaced: {} serial numbers, {} addresses",
            anonymiser.serials(),
            anonymiser.macs()
        )
    });
    info!(
        "{}: {} frames{names}; left out: {} of other protocols, {} damaged",
        output.display(),
        HumanCount(frames),
        HumanCount(left_out.others),
        HumanCount(left_out.damaged)
    );
    ended
}

/// The first round: collects names. What is wrong with a capture is reported in the second.
fn learn(captures: &[PathBuf]) -> Result<Anonymiser, Failure> {
    let mut identities = Identities::default();
    for path in captures {
        let result = each_frame(path, &mut LeftOut::default(), |_, bytes, frame| {
            identities.learn(bytes, frame);
            Ok(())
        });
        if let Err(Ended::Capture(error)) = result
            && matches!(error, CaptureError::Missing(_) | CaptureError::Permission(_))
        {
            return Err(Failure::from(error));
        }
    }
    Ok(identities.replaced())
}

/// Reason why the frames of a capture were not all dealt with.
enum Ended {
    Capture(CaptureError),
    Output(io::Error),
}

/// Shows each frame of the devices' protocol: its time, its bytes from the Ethernet header on, and
/// their meaning.
fn each_frame(
    path: &Path,
    left_out: &mut LeftOut,
    mut look: impl FnMut(Timestamp, &[u8], &Frame<'_>) -> io::Result<()>,
) -> Result<(), Ended> {
    let mut source = ReplaySource::open(path, Speed::Max).map_err(Ended::Capture)?;
    loop {
        match source.next().map_err(Ended::Capture)? {
            Event::Packet(packet @ Packet { time: Some(time), link: Link::Ethernet, .. }) => {
                match packet.frame() {
                    Ok(frame) => look(time, packet.bytes, &frame).map_err(Ended::Output)?,
                    Err(FrameError::Ethertype(_) | FrameError::Magic) => left_out.others += 1,
                    Err(_) => left_out.damaged += 1,
                }
            }
            Event::Packet(_) => {
                return Err(Ended::Capture(CaptureError::Data(format!(
                    "{}: frames without a time or a sender: export takes pcap and pcapng",
                    path.display()
                ))));
            }
            Event::Idle => {}
            Event::End => return Ok(()),
        }
    }
}

/// Opens the output, and says whether there was no such file before.
fn create(args: &Args) -> Result<(File, bool), Failure> {
    let path = &args.output;
    let same = |other: &PathBuf| {
        let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        identity(path).is_some_and(|this| identity(other) == Some(this))
    };
    if args.captures.iter().any(same) {
        let message = format!("{}: the capture itself; --output takes a new file", path.display());
        return Err(Failure::message(Exit::Usage, message));
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && args.force => {
            let existing = OpenOptions::new().write(true).truncate(true).open(path);
            existing.map(|file| (file, false)).map_err(|error| output_failure(path, &error))
        }
        Err(error) => Err(output_failure(path, &error)),
    }
}

fn output_failure(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::message(Exit::Usage, format!("{path}: exists already; --force replaces it"))
        }
        ErrorKind::PermissionDenied => Failure::message(
            Exit::Permission,
            format!("{path}: no permission to write: choose a folder that you may write to"),
        ),
        _ => Failure::message(Exit::Io, format!("{path}: cannot be written: {error}")),
    }
}
