//! The running gateway: one capture thread, one task a sink, signals, and an orderly end.

pub mod build;
mod health;
mod sinks;
mod status;

use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Layout;
use energi_sinks::Backpressure;
use energi_sinks::status::StatusHandle;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::capture::{CaptureError, Source};
use crate::pipeline::Pipeline;
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::{self, Rights};
use crate::platform::signals::Signals;
use crate::platform::systemd::Manager;
use crate::terminal::progress::Bar;

use health::Health;
pub use sinks::Output;
use sinks::Sinks;
use status::RunningStatus;

/// How often the counters are said while live.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// How often the progress of a replay is drawn.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// How long a capture thread gets to end by itself; one that blocks on its input never does.
const CAPTURE_GRACE: Duration = Duration::from_millis(500);

/// Everything that a run needs.
pub struct Gateway {
    /// Where packets come from.
    pub source: Box<dyn Source>,
    /// What happens to them.
    pub pipeline: Pipeline,
    /// Where readings go.
    pub outputs: Vec<Output>,
    /// How long the sinks may take to drain after a signal.
    pub shutdown_timeout: Duration,
    /// Shows how far a replay is.
    pub progress: Option<Bar>,
    /// Who started the gateway as a service and wants to know how it does.
    pub manager: Option<Manager>,
}

/// Why the gateway began to end.
enum Cause {
    CaptureEnded(Result<(), CaptureError>),
    Signal,
    NobodyToWriteFor,
}

impl Gateway {
    /// Runs until the source ends, a signal comes or nobody is left to write for; then drains.
    ///
    /// The calling thread, which all sinks run on or are started from, gives up every capability
    /// that it has; the capture thread keeps what the source needs.
    ///
    /// # Errors
    /// The [`Failure`] that decides the exit code: the capture's, or that of a sink that could not
    /// finish.
    pub async fn run(self) -> Result<(), Failure> {
        let Self { mut source, mut pipeline, mut outputs, shutdown_timeout, progress, manager } =
            self;
        let status = inform(&mut outputs, &pipeline, &*source);
        let (stop, counters, backpressure) =
            (pipeline.stop.clone(), Arc::clone(&pipeline.counters), pipeline.backpressure);
        let mut sinks = Sinks::start(pipeline.publisher.hub(), outputs, backpressure);
        let mut signals = Signals::listen()?;
        let mut health = Health::new(manager, Arc::clone(&counters), !source.may_block());

        // What the capture thread may do it inherits; the sinks have not begun yet.
        let keep_only = |rights| {
            privileges::keep_only(rights).map_err(|error| Failure::new(Exit::Permission, error))
        };
        keep_only(source.rights())?;
        let (ended, mut capture_ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                let result = pipeline.run(&mut *source);
                // The channel closes with its publisher: only then can the sinks drain.
                drop(pipeline);
                // Nobody listens any more when the gateway has given up waiting for this thread.
                let _ = ended.send(result);
            })
            .map_err(|error| Failure::new(Exit::Io, error))?;
        keep_only(Rights::None)?;

        let cause = {
            let mut report = tokio::time::interval_at(Instant::now() + REPORT_EVERY, REPORT_EVERY);
            report.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut redraw = tokio::time::interval(REDRAW_EVERY);
            redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    biased;
                    // First: Ctrl-C ends the writer of a stream too, and its end is no failure then.
                    () = signals.next() => break Cause::Signal,
                    ended = &mut capture_ended => break Cause::CaptureEnded(died(ended)),
                    done = sinks.supervise(), if sinks.any_left() => {
                        if done {
                            break Cause::NobodyToWriteFor;
                        }
                    }
                    _ = redraw.tick(), if progress.is_some() => {
                        progress.iter().for_each(Bar::update);
                    }
                    _ = report.tick(), if backpressure == Backpressure::DropOldest => {
                        info!("{counters}");
                        info!("{sinks}");
                    }
                    () = health.due() => health.tell(&sinks),
                }
            }
        };

        drop(progress);
        stop.raise();
        let mut by_signal = matches!(cause, Cause::Signal);
        let captured = match cause {
            Cause::CaptureEnded(result) => result,
            _ => match tokio::time::timeout(CAPTURE_GRACE, capture_ended).await {
                Ok(ended) => died(ended),
                Err(_) => Ok(()),
            },
        };
        health.capture_ended();
        status.capture_ended();
        sinks.hub.close();
        // Somebody waits for a recording's end, so its sinks may take their time, until a signal.
        let mut bounded = by_signal || sinks.endless();
        let mut deadline = Instant::now() + shutdown_timeout;
        loop {
            if bounded {
                health.stopping(shutdown_timeout);
            }
            tokio::select! {
                () = sinks.drain() => break,
                () = tokio::time::sleep_until(deadline), if bounded => break,
                () = signals.next() => {
                    if by_signal {
                        warn!("a second signal: ending at once");
                        break;
                    }
                    (by_signal, bounded) = (true, true);
                    deadline = Instant::now() + shutdown_timeout;
                }
                () = health.due() => health.tell(&sinks),
            }
        }
        if sinks.reader_gone() {
            // Whoever closed the pipe knows what is missing.
            return Ok(());
        }
        info!("{counters}");
        info!("{sinks}");
        sinks.say_undelivered(&counters);
        match captured {
            // Who stops the gateway may well stop what it listens to.
            Err(error) if by_signal => warn!("{error}"),
            captured => captured?,
        }
        if by_signal { Ok(()) } else { sinks.outcome() }
    }
}

/// Gives every sink the layouts of the decoders that are on and a handle on the gateway's status.
fn inform(outputs: &mut [Output], pipeline: &Pipeline, source: &dyn Source) -> Arc<RunningStatus> {
    let layouts: Arc<[Layout]> =
        pipeline.decoders.iter().map(|decoder| decoder.layout().clone()).collect();
    let counted = |output: &Output| (output.context.name.clone(), Arc::clone(&output.stats));
    let status = Arc::new(RunningStatus::new(
        Arc::clone(&pipeline.counters),
        outputs.iter().map(counted).collect(),
        !source.may_block(),
    ));
    for output in outputs {
        output.context.layouts = Arc::clone(&layouts);
        output.context.status = StatusHandle::new(Arc::clone(&status) as _);
    }
    status
}

/// A capture thread that ended without a word has panicked; the panic has been printed.
fn died(
    ended: Result<Result<(), CaptureError>, oneshot::error::RecvError>,
) -> Result<(), CaptureError> {
    ended.unwrap_or_else(|_| Err(CaptureError::Io("the capture thread died".to_owned())))
}
