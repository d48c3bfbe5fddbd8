//! The sinks of a running gateway: started, watched, started again, drained.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use energi_sinks::channel::Hub;
use energi_sinks::runner::Backoff;
use energi_sinks::runner::{RetryPolicy, RunError, Runner};
use energi_sinks::stats::SinkStats;
use energi_sinks::{Backpressure, CapturedFrame, Context, Item, SinkConfig};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, warn};

use crate::platform::exit::{Exit, Failure};

/// One sink as the gateway runs it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// Configuration of the sink.
    pub(super) config: Arc<dyn SinkConfig>,
    /// Context of the sink, with its name.
    pub(super) context: Context,
    /// Counters of the sink.
    pub(super) stats: Arc<SinkStats>,
    /// Limit of retries.
    pub(super) retry_policy: RetryPolicy,
}

/// The channels that sinks take from.
#[derive(Debug, Clone)]
pub(super) struct Hubs {
    pub(super) readings: Hub,
    /// Channel of captured frames, where a sink takes those.
    pub(super) frames: Option<Hub<CapturedFrame>>,
}

impl Hubs {
    /// Number of items that were published for a sink.
    fn published_for(&self, sink: &dyn SinkConfig) -> u64 {
        match &self.frames {
            Some(frames) if sink.takes_frames() => frames.published(),
            _ => self.readings.published(),
        }
    }
}

/// The sinks' tasks, and how each of them ended.
pub(super) struct Sinks {
    hubs: Hubs,
    backpressure: Backpressure,
    /// `true` where the source cannot go on without one of them.
    needs_all: bool,
    outputs: Vec<Output>,
    tasks: JoinSet<Result<(), RunError>>,
    /// Output that each running task serves, for tasks that die without telling.
    serves: HashMap<Id, usize>,
    given_up: Vec<(usize, String)>,
    /// True if nobody reads a sink's output any more.
    reader_gone: bool,
    /// Number of tasks that have run once.
    running: Arc<AtomicUsize>,
    /// Time that each sink waits before it is started again after a crash.
    backoffs: Vec<Backoff>,
}

impl Sinks {
    /// Starts a task for each output.
    pub(super) fn start(
        hubs: Hubs,
        outputs: Vec<Output>,
        backpressure: Backpressure,
        needs_all: bool,
    ) -> Self {
        let mut sinks = Self {
            hubs,
            backpressure,
            needs_all,
            tasks: JoinSet::new(),
            serves: HashMap::new(),
            given_up: Vec::new(),
            reader_gone: false,
            running: Arc::default(),
            backoffs: outputs.iter().map(|_| Backoff::default()).collect(),
            outputs,
        };
        for index in 0..sinks.outputs.len() {
            sinks.spawn(index, Duration::ZERO);
        }
        sinks
    }

    fn spawn(&mut self, index: usize, delay: Duration) {
        let output = self.outputs[index].clone();
        let task = match &self.hubs.frames {
            Some(frames) if output.config.takes_frames() => {
                spawn(&mut self.tasks, frames, output, &self.running, delay)
            }
            _ => spawn(&mut self.tasks, &self.hubs.readings, output, &self.running, delay),
        };
        if let Some(task) = task {
            self.serves.insert(task, index);
        }
    }

    /// Closes the channel: what a sink has not taken yet is the last that it gets.
    pub(super) fn close_channel(&self) {
        self.hubs.readings.close();
        self.hubs.frames.iter().for_each(Hub::close);
    }

    /// Returns whether every sink's task has been running.
    pub(super) fn all_run(&self) -> bool {
        self.running.load(Ordering::Relaxed) >= self.outputs.len()
    }

    /// Returns whether a sink is left.
    pub(super) fn any_left(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits for a sink to end before the gateway does. Returns whether the gateway should end too:
    /// nobody is left to write for, or the source needs the sink that crashed.
    pub(super) async fn supervise(&mut self) -> bool {
        let Some(joined) = self.tasks.join_next_with_id().await else { return true };
        if let Some(index) = self.ended(joined) {
            if self.needs_all {
                return true;
            }
            if self.backpressure == Backpressure::DropOldest {
                // The new sink does not have what the crashed one had received.
                let stats = &self.outputs[index].stats;
                let lost = stats.received.get() - stats.taken.get();
                stats.rejected.add(lost);
                stats.taken.add(lost);
                let delay = self.backoffs[index].next_wait();
                self.spawn(index, delay);
            }
        }
        self.reader_gone || self.tasks.is_empty()
    }

    /// Waits for every sink to end.
    pub(super) async fn drain(&mut self) {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            self.ended(joined);
        }
    }

    /// Records the end of a sink, and returns the output whose sink crashed.
    fn ended(&mut self, joined: Joined) -> Option<usize> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let index = self.serves.remove(&id)?;
        match joined {
            Ok((_, Ok(()))) => None,
            Ok((_, Err(RunError::Closed))) => {
                self.reader_gone = true;
                None
            }
            Ok((_, Err(RunError::GivenUp(error)))) => {
                self.given_up.push((index, error.to_string()));
                None
            }
            Err(died) => {
                let name = &self.outputs[index].context.name;
                error!(sink = name, "the sink crashed: {died}");
                if self.backpressure == Backpressure::Wait {
                    self.given_up.push((index, "it crashed".to_owned()));
                }
                Some(index)
            }
        }
    }

    /// Returns whether a reader has closed its end of a pipe.
    pub(super) fn reader_gone(&self) -> bool {
        self.reader_gone
    }

    /// Says of each sink how many readings or frames did not get through it.
    pub(super) fn say_undelivered(&self) {
        for (index, output) in self.outputs.iter().enumerate() {
            let published = self.hubs.published_for(&*output.config);
            let missing = published.saturating_sub(output.stats.taken.get());
            let name = &output.context.name;
            if missing > 0 && output.config.takes_frames() {
                warn!(sink = name, frames = missing, "not delivered");
            } else if missing > 0 {
                warn!(sink = name, readings = missing, "not delivered");
            } else if self.serves.values().any(|running| *running == index) {
                warn!(
                    sink = name,
                    "shutdown_timeout is over: the last values may not have arrived"
                );
            }
        }
    }

    /// Returns whether a sink may go on trying forever.
    pub(super) fn endless(&self) -> bool {
        self.outputs.iter().any(|output| output.retry_policy == RetryPolicy::Forever)
    }

    /// The failure that names every sink that could not finish, given up or still at it.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        let given_up = self.given_up.iter().map(|(index, why)| (*index, why.as_str()));
        let running = self.serves.values().map(|index| (*index, "it ran out of time"));
        let unfinished: Vec<_> = given_up.chain(running).collect();
        let Some((first, _)) = unfinished.first() else { return Ok(()) };
        let remote = self.outputs[*first].config.is_remote();
        let exit = if remote { Exit::Unavailable } else { Exit::Io };
        let name = |index: usize| &self.outputs[index].context.name;
        let words: Vec<_> = unfinished
            .iter()
            .map(|(index, why)| format!("sink `{}` could not finish: {why}", name(*index)))
            .collect();
        Err(Failure::message(exit, words.join("; ")))
    }
}

/// Starts the task of a sink that takes from `hub`; `None` where nothing will come any more.
fn spawn<T: Item>(
    tasks: &mut JoinSet<Result<(), RunError>>,
    hub: &Hub<T>,
    output: Output,
    running: &Arc<AtomicUsize>,
    delay: Duration,
) -> Option<Id> {
    let subscription = hub.subscribe()?;
    let Output { config, context, stats, retry_policy } = output;
    let runner = Runner::new(config, context, subscription, stats, retry_policy);
    let running = Arc::clone(running);
    let task = tasks.spawn(async move {
        running.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(delay).await;
        runner.run().await
    });
    Some(task.id())
}

/// A task that ended, and how.
type Joined = Result<(Id, Result<(), RunError>), JoinError>;

/// One line for people: what each sink has done, only what is not zero.
impl fmt::Display for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sinks:")?;
        for (index, output) in self.outputs.iter().enumerate() {
            let (name, stats) = (&output.context.name, &output.stats);
            let separator = if index == 0 { "" } else { ";" };
            let (received, delivered) = (stats.received.get(), stats.delivered.get());
            write!(f, "{separator} {name}: {received} received, {delivered} delivered")?;
            for (what, count) in [
                ("waiting", stats.waiting.get()),
                ("skipped", stats.skipped.get()),
                ("rejected", stats.rejected.get()),
                ("lagged", stats.lagged.get()),
                ("retried", stats.retried.get()),
            ] {
                if count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
        }
        Ok(())
    }
}
