//! `energi-gateway record`: every frame of the devices, known or not, in a capture file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use energi_sinks::settings::{Period, Size};
use indicatif::{BinaryBytes, FormattedDuration, HumanCount};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::capture::live::{InterfaceName, LiveSettings, LiveSource};
use crate::capture::stop::Stop;
use crate::capture::{CaptureError, Event, Source};
use crate::platform::exit::{Exit, Failure};
use crate::platform::files::Existing;
use crate::platform::runtime;
use crate::platform::signals::Signals;
use crate::record::{
    FrameQueue, FrameRecorder, Only, RecordError, RecordingCounters, RecordingPlan,
    RecordingTarget, Rotation,
};
use crate::terminal::progress::StatusLine;

/// Interval at which the live count is drawn.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A size is a number of bytes, or has a unit: 64KiB, 100MiB, 2GiB. A time has a unit: 30s, 5m, 1h, 1d.

With --rotate 1d -o eddi.pcapng, the names of the files contain the time (UTC) at which each file \
began: eddi-20260620T110203Z.pcapng and so on. The first frame after 1d begins the next file. No file \
is ever replaced or deleted.

Frames are written four times a second, so the file is readable even after a kill. Frames that were \
lost because a queue of the kernel or of this program was full are counted, reported at the end and \
noted in the file.

Examples:
  energi-gateway record -i eth0 -o eddi.pcapng
  energi-gateway record -i eth0 -o unknown.pcapng --only unknown --for 1d
  energi-gateway record -i eth0 -o - | wireshark -k -i -"
)]
pub struct Args {
    /// The network interface, such as eth0
    #[arg(short, long, value_name = "IFACE")]
    interface: InterfaceName,
    /// The capture file, or - for standard output
    #[arg(short, long, value_name = "FILE.pcapng")]
    output: PathBuf,
    /// Replace an existing file
    #[arg(long, conflicts_with = "rotate")]
    force: bool,
    /// Stop after this time
    #[arg(long = "for", value_name = "TIME", value_parser = super::amount::<Period>)]
    period: Option<Period>,
    /// Stop after this many saved frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Stop before the file is larger than this
    #[arg(long, value_name = "SIZE", value_parser = super::amount::<Size>)]
    max_size: Option<Size>,
    /// Begin a new file before this size is exceeded, or after this time
    #[arg(
        long,
        value_name = "SIZE|TIME",
        value_parser = rotation,
        conflicts_with = "max_size"
    )]
    rotate: Option<Rotation>,
    /// Frames to save
    #[arg(long, value_enum, default_value_t)]
    only: Only,
    /// Make the network card accept every frame; only for a card that does not pass the devices'
    /// multicast group
    #[arg(long)]
    promiscuous: bool,
}

/// A size or a time; a bare number could be either.
fn rotation(text: &str) -> Result<Rotation, String> {
    if text.trim().bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("write a unit: a size such as 100MiB, or a time such as 1d".to_owned());
    }
    let rotation = super::amount::<Size>(text)
        .map(|size| Rotation::Size(size.bytes()))
        .or_else(|_| super::amount::<Period>(text).map(|time| Rotation::Time(time.duration())))
        .map_err(|_| "expected a size such as 100MiB, or a time such as 1d".to_owned())?;
    match rotation {
        Rotation::Size(0) | Rotation::Time(Duration::ZERO) => Err("more than nothing".to_owned()),
        rotation => Ok(rotation),
    }
}

/// Records until a limit is reached or a signal comes.
///
/// # Errors
/// The [`Failure`] that decides the exit code; what was saved before it is readable.
pub fn run(args: &Args) -> Result<(), Failure> {
    let place = place(args)?;
    let (interface, promiscuous) = (args.interface.clone(), args.promiscuous);
    let live =
        LiveSource::open_wire(LiveSettings { interface, promiscuous }).map_err(Failure::from)?;
    let plan = RecordingPlan {
        place,
        interface: args.interface.to_string(),
        only: args.only,
        frames: args.frames,
    };
    let recorder = match FrameRecorder::create(plan, live.counters()) {
        Err(RecordError::ReaderGone) => return Ok(()),
        recorder => recorder.map_err(failure)?,
    };
    let counters = recorder.counters();
    let runtime = runtime::create()?;
    let start = Instant::now();
    let result = runtime.block_on(record(live, recorder, args.period.map(Period::duration)));
    info!("{}", Summary { counters: &counters, path: &args.output, time: start.elapsed() });
    result
}

fn place(args: &Args) -> Result<RecordingTarget, Failure> {
    let path = args.output.clone();
    let most = args.max_size.map_or(u64::MAX, Size::bytes);
    match args.rotate {
        Some(_) if path == Path::new("-") => Err(Failure::message(
            Exit::Usage,
            "--rotate needs a file: standard output is one stream",
        )),
        Some(rotation) => Ok(RecordingTarget::Files { path, rotation }),
        None if path == Path::new("-") => Ok(RecordingTarget::Stdout { most }),
        None => {
            let existing = if args.force { Existing::Replace } else { Existing::Keep };
            Ok(RecordingTarget::File { path, existing, most })
        }
    }
}

/// The exit code of an error of the recorder.
fn failure(error: RecordError) -> Failure {
    let exit = match error {
        RecordError::Exists(_) => Exit::Usage,
        RecordError::Busy(_) => Exit::Unavailable,
        RecordError::Permission(_) => Exit::Permission,
        RecordError::Io { .. } | RecordError::ReaderGone => Exit::Io,
    };
    Failure::new(exit, error)
}

/// Runs the two threads, and waits for what ends them.
async fn record(
    live: LiveSource,
    recorder: FrameRecorder,
    longest: Option<Duration>,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let (queue, stop, counters) =
        (Arc::<FrameQueue>::default(), Stop::default(), recorder.counters());
    let (captured, written) = (oneshot::channel(), oneshot::channel());
    spawn("capture", captured.0, {
        let (queue, stop) = (Arc::clone(&queue), stop.clone());
        move || capture(live, &queue, &stop)
    })?;
    spawn("writer", written.0, {
        let stop = stop.clone();
        move || recorder.run(&queue, &stop)
    })?;

    let status = StatusLine::new();
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = Instant::now();
    let mut by_signal = false;
    let mut written = written.1;
    let ended = loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                if by_signal {
                    warn!("a second signal: ending at once");
                    return Ok(());
                }
                by_signal = true;
                stop.raise();
            }
            ended = &mut written => break ended,
            _ = redraw.tick() => {
                if longest.is_some_and(|longest| start.elapsed() >= longest) {
                    stop.raise();
                }
                if let Some(status) = &status {
                    let time = start.elapsed();
                    status.show(Status { counters: &counters, time }.to_string());
                }
            }
        }
    };
    let died = || Failure::message(Exit::Io, "a thread of the recording died");
    match ended.map_err(|_| died())? {
        Err(RecordError::ReaderGone) => Ok(()),
        Err(error) => Err(failure(error)),
        // The writer ends after the capture.
        Ok(()) => captured.1.await.map_err(|_| died())?.map_err(Failure::from),
    }
}

/// Runs `work` on a thread of its own; what it returns comes through `ended`.
fn spawn<T: Send + 'static>(
    name: &str,
    ended: oneshot::Sender<T>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<(), Failure> {
    let run = move || {
        // Nobody listens any more after a second signal.
        let _ = ended.send(work());
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| Failure::new(Exit::Io, error))
}

/// The capture thread: it copies frames, and waits for nothing but them.
fn capture(mut live: LiveSource, queue: &FrameQueue, stop: &Stop) -> Result<(), CaptureError> {
    let _closes = Closes(queue);
    live.wake_on(stop);
    let result = loop {
        if stop.is_raised() {
            break Ok(());
        }
        match live.next() {
            Ok(Event::Packet(packet)) => {
                if let Some(time) = packet.time {
                    queue.push(time, packet.bytes);
                }
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // The kernel's last counts come with the end of the source, and belong in the file.
    drop(live);
    result
}

/// Closes the queue, also where the capture thread panics: the writer waits for it.
struct Closes<'a>(&'a FrameQueue);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One line for a terminal.
struct Status<'a> {
    counters: &'a RecordingCounters,
    time: Duration,
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counters, time } = self;
        write!(
            f,
            "{}  {} frames  {}  {} dropped  ",
            FormattedDuration(*time),
            HumanCount(counters.saved()),
            BinaryBytes(counters.bytes.get()),
            HumanCount(counters.dropped()),
        )?;
        write!(f, "{}", counters.records())
    }
}

/// Summary at the end.
struct Summary<'a> {
    counters: &'a RecordingCounters,
    path: &'a Path,
    time: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counters, path, time } = self;
        write!(
            f,
            "{} frames saved in {}, {}",
            HumanCount(counters.saved()),
            FormattedDuration(*time),
            BinaryBytes(counters.bytes.get())
        )?;
        match counters.files.get() {
            1 => write!(f, " in {}", path.display())?,
            files => write!(f, " in {files} files")?,
        }
        let (records, lost) = (counters.records().to_string(), counters.lost.get());
        if lost > 0 {
            write!(f, "; lost in writing: {}", HumanCount(lost))?;
        } else if !records.is_empty() {
            write!(f, "; records: {records}")?;
        }
        if counters.skipped.get() > 0 {
            write!(f, "; not wanted: {}", HumanCount(counters.skipped.get()))?;
        }
        write!(
            f,
            "; dropped by the kernel: {}, by a slow disk: {}",
            HumanCount(counters.live.kernel_drops.get()),
            HumanCount(counters.queue_full.get())
        )
    }
}
