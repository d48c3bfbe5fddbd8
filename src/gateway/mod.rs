//! The running gateway: one capture thread, one task a sink, and an orderly end.

mod build;
mod health;
mod sinks;
mod socket;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::capture::stop::Stop;
use crate::capture::{CaptureError, Source};
use crate::config::{Device, Devices};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::Counters;
use crate::platform::exit::{Exit, Failure};
use crate::platform::privileges::{self, Rights};
use crate::platform::systemd::Manager;
use crate::terminal::progress::Bar;

pub use build::{GatewayBuilder, probe};
use health::Health;
use sinks::{Hubs, Output, Sinks};
use socket::StatusSocket;
pub(crate) use socket::{SinkProgress, ask};
use status::RunningStatus;

/// Interval at which the counters are logged, but for a recording.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// Longest time that a listed device may be silent from the start on before that is mentioned.
const LISTED_PATIENCE: Duration = Duration::from_mins(5);

/// Interval at which the progress of a replay is drawn.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Time that a capture thread gets to end by itself; one that blocks on its input never does.
const CAPTURE_GRACE: Duration = Duration::from_millis(500);

/// Everything that a run needs, put together by a [`GatewayBuilder`].
pub struct Gateway {
    source: Box<dyn Source>,
    pipeline: Pipeline,
    hubs: Hubs,
    outputs: Vec<Output>,
    devices: Devices,
    shutdown_timeout: Duration,
    progress: Option<Bar>,
    /// `true` where the counters are logged now and then.
    reports: bool,
    manager: Option<Manager>,
    is_service: bool,
    status: Arc<RunningStatus>,
}

/// Reason why the gateway began to end.
enum Cause {
    CaptureEnded(Result<(), CaptureError>),
    Shutdown,
    /// Nobody is left to write for, or the source needs a sink that crashed.
    SinksEnded,
}

/// Result of a run.
struct Outcome {
    captured: Result<(), CaptureError>,
    /// True if somebody asked for the end.
    by_request: bool,
}

impl Gateway {
    /// A flag that ends the run as the end of the input does, once raised.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.pipeline.stop.clone()
    }

    /// Runs until the source ends, `shutdown` returns, nobody is left to write for or a sink
    /// has crashed that the source needs; then drains.
    /// `shutdown` is called again after it has returned: a second return ends the run at once.
    ///
    /// The calling thread, which all sinks run on or are started from, gives up every capability
    /// that it has; the capture thread keeps what the source needs.
    ///
    /// # Errors
    /// The [`Failure`] that decides the exit code: the capture's, or that of a sink that could not
    /// finish.
    pub async fn run(self, shutdown: impl AsyncFnMut()) -> Result<(), Failure> {
        let mut running = self.open(shutdown)?;
        let cause = running.supervise().await;
        let outcome = running.drain(cause).await;
        running.report(outcome)
    }

    /// Starts the sinks and the capture thread.
    fn open<S: AsyncFnMut()>(self, shutdown: S) -> Result<Running<S>, Failure> {
        let Self { mut source, mut pipeline, hubs, outputs, devices, shutdown_timeout, .. } = self;
        let (stop, counters, backpressure) =
            (pipeline.stop.clone(), Arc::clone(&pipeline.counters), pipeline.backpressure);
        let sinks = Sinks::start(hubs, outputs, backpressure, source.needs_every_sink());
        let socket = if self.is_service { StatusSocket::bind() } else { None };
        let health = Health::new(self.manager, Arc::clone(&counters), !source.may_block());

        // What the capture thread may do it inherits; the sinks have not begun yet.
        let keep_only = |rights| {
            privileges::keep_only(rights).map_err(|error| Failure::new(Exit::Permission, error))
        };
        if keep_only(source.rights())? {
            info!(
                "started as root: all other rights of root are given up, so a folder of another \
                 user can be written only if everybody may write there"
            );
        }
        let (ended, capture_ended) = oneshot::channel();
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
        Ok(Running {
            shutdown,
            stop,
            counters,
            reports: self.reports,
            sinks,
            devices,
            capture_ended,
            health,
            socket,
            status: self.status,
            progress: self.progress,
            shutdown_timeout,
        })
    }
}

/// A gateway whose tasks and threads run.
struct Running<S> {
    shutdown: S,
    stop: Stop,
    counters: Arc<Counters>,
    reports: bool,
    sinks: Sinks,
    devices: Devices,
    capture_ended: oneshot::Receiver<Result<(), CaptureError>>,
    health: Health,
    socket: Option<StatusSocket>,
    status: Arc<RunningStatus>,
    progress: Option<Bar>,
    shutdown_timeout: Duration,
}

impl<S: AsyncFnMut()> Running<S> {
    /// Watches over the tasks until there is a cause to end.
    async fn supervise(&mut self) -> Cause {
        let start = Instant::now();
        let mut report = tokio::time::interval_at(start + REPORT_EVERY, REPORT_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut redraw = tokio::time::interval(REDRAW_EVERY);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut first_minute = true;
        let mut unheard = self.reports && !self.devices.list.is_empty();
        loop {
            tokio::select! {
                biased;
                // First: Ctrl-C ends the writer of a stream too, and its end is no failure then.
                () = (self.shutdown)() => return Cause::Shutdown,
                ended = &mut self.capture_ended => return Cause::CaptureEnded(died(ended)),
                done = self.sinks.supervise(), if self.sinks.any_left() => {
                    if done {
                        return Cause::SinksEnded;
                    }
                }
                _ = redraw.tick(), if self.progress.is_some() => {
                    self.progress.iter().for_each(Bar::update);
                }
                _ = report.tick(), if self.reports => {
                    self.counters.log_values();
                    info!("{}", self.counters);
                    info!("{}", self.sinks);
                    if std::mem::take(&mut first_minute) {
                        self.counters.log_unknown();
                    }
                    if unheard && start.elapsed() >= LISTED_PATIENCE {
                        unheard = false;
                        self.mention_unheard();
                    }
                }
                () = self.health.due() => self.health.tell(&self.sinks, &self.status),
                () = StatusSocket::answer(self.socket.as_ref(), &*self.status) => {}
            }
        }
    }

    /// Names the listed devices that were not received.
    fn mention_unheard(&self) {
        for device in unheard(&self.devices.list, &self.counters.seen_devices()) {
            let name = device.name.as_deref();
            warn!(
                serial = device.serial,
                name,
                "a listed device was not received since the start; compare the serial number with its \
                 label, and run `energi-gateway doctor`. A zappi or harvi is received only with its \
                 decoder in `decoders.experimental`"
            );
        }
    }

    /// Stops the capture and waits for the sinks to deliver what they have.
    async fn drain(&mut self, cause: Cause) -> Outcome {
        self.progress = None;
        self.stop.raise();
        let mut by_request = matches!(cause, Cause::Shutdown);
        let captured = match cause {
            Cause::CaptureEnded(result) => result,
            Cause::Shutdown | Cause::SinksEnded => {
                match tokio::time::timeout(CAPTURE_GRACE, &mut self.capture_ended).await {
                    Ok(ended) => died(ended),
                    Err(_) => Ok(()),
                }
            }
        };
        self.health.capture_ended();
        self.status.capture_ended();
        self.sinks.close_channel();
        // Somebody waits for a recording's end, so its sinks may take their time, until a signal.
        let mut bounded = by_request || self.sinks.endless();
        let mut deadline = Instant::now() + self.shutdown_timeout;
        loop {
            if bounded {
                self.health.stopping(self.shutdown_timeout);
            }
            tokio::select! {
                () = self.sinks.drain() => break,
                () = tokio::time::sleep_until(deadline), if bounded => break,
                () = (self.shutdown)() => {
                    if by_request {
                        warn!("a second signal: ending at once");
                        break;
                    }
                    (by_request, bounded) = (true, true);
                    deadline = Instant::now() + self.shutdown_timeout;
                }
                () = self.health.due() => self.health.tell(&self.sinks, &self.status),
                () = StatusSocket::answer(self.socket.as_ref(), &*self.status) => {}
            }
        }
        Outcome { captured, by_request }
    }

    /// Logs the counters and what was not delivered.
    fn report(&self, Outcome { captured, by_request }: Outcome) -> Result<(), Failure> {
        if self.sinks.reader_gone() {
            // The reader that closed the pipe knows what is missing.
            return Ok(());
        }
        info!("{}", self.counters);
        info!("{}", self.sinks);
        self.sinks.say_undelivered();
        match captured {
            // Who stops the gateway may well stop what it listens to.
            Err(error) if by_request => warn!("{error}"),
            captured => captured?,
        }
        if by_request { Ok(()) } else { self.sinks.outcome() }
    }
}

/// The listed devices that are not among those seen.
fn unheard<'l>(listed: &'l [Device], seen: &BTreeSet<u32>) -> Vec<&'l Device> {
    listed.iter().filter(|device| !seen.contains(&device.serial)).collect()
}

/// A capture thread that ended without a word has panicked; the panic has been printed.
fn died(
    ended: Result<Result<(), CaptureError>, oneshot::error::RecvError>,
) -> Result<(), CaptureError> {
    ended.unwrap_or_else(|_| Err(CaptureError::Io("the capture thread died".to_owned())))
}
