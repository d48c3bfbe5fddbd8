//! Counters of the running gateway, and its stuck tasks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::pipeline::counters::Counters;
use energi_sinks::stats::SinkStats;
use energi_sinks::status::{GatewayStatus, SinkSnapshot, Snapshot};

/// Longest time that the capture thread may take for a round; it goes round while nothing comes,
/// too.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(15);

/// Longest time that a sink may hold readings without delivering, failing or trying again. Back-off
/// waits for a minute at most.
const SINK_PATIENCE: Duration = Duration::from_mins(3);

/// The counts of the running gateway.
#[derive(Debug)]
pub(super) struct RunningStatus {
    counters: Arc<Counters>,
    sinks: Vec<(String, Arc<SinkStats>)>,
    watched: Mutex<Watched>,
}

/// Observations of the tasks, and the times when they last got on.
#[derive(Debug)]
struct Watched {
    /// True if the capture thread must go round: not where its input may block.
    capture: bool,
    rounds: Progress,
    sinks: Vec<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    seen: u64,
    since: Instant,
}

impl Progress {
    /// Takes note of a number that changes while its task gets on, and returns for how long it has
    /// not.
    fn note(&mut self, now: Instant, seen: u64) -> Duration {
        if self.seen != seen {
            *self = Self { seen, since: now };
        }
        now - self.since
    }
}

impl RunningStatus {
    /// The status of a gateway with these sinks, none of them stuck yet.
    pub(super) fn new(
        counters: Arc<Counters>,
        sinks: Vec<(String, Arc<SinkStats>)>,
        watches_capture: bool,
    ) -> Self {
        let start = Progress { seen: 0, since: Instant::now() };
        let watched = Mutex::new(Watched {
            capture: watches_capture,
            rounds: start,
            sinks: vec![start; sinks.len()],
        });
        Self { counters, sinks, watched }
    }

    /// The input has ended: the capture thread is watched no more.
    pub(super) fn capture_ended(&self) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).capture = false;
    }

    /// Looks at every task, and returns those that have not got on for too long. Called every few
    /// seconds, and whenever somebody asks.
    pub(super) fn stuck(&self, now: Instant) -> Vec<String> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stuck = Vec::new();
        let still = watched.rounds.note(now, self.counters.rounds.get());
        if watched.capture && still > CAPTURE_PATIENCE {
            stuck.push("capture".to_owned());
        }
        for ((name, stats), progress) in self.sinks.iter().zip(&mut watched.sinks) {
            let still = progress.note(now, done(stats));
            let idle = stats.opened.get() > 0 && stats.received.get() <= stats.taken.get();
            if idle {
                progress.since = now;
            } else if still > SINK_PATIENCE {
                stuck.push(format!("sink {name}"));
            }
        }
        stuck
    }
}

/// A number that grows whenever a sink gets on, be it only to the next try.
fn done(stats: &SinkStats) -> u64 {
    [&stats.opened, &stats.taken, &stats.delivered, &stats.rejected, &stats.retried]
        .into_iter()
        .fold(0, |sum, counter| sum.wrapping_add(counter.get()))
}

impl GatewayStatus for RunningStatus {
    fn snapshot(&self) -> Snapshot {
        let sinks: Vec<SinkSnapshot> = self
            .sinks
            .iter()
            .map(|(name, stats)| SinkSnapshot {
                name: name.clone(),
                opened: stats.opened.get() > 0,
                received: stats.received.get(),
                delivered: stats.delivered.get(),
                skipped: stats.skipped.get(),
                waiting: stats.waiting.get(),
                rejected: stats.rejected.get(),
                lagged: stats.lagged.get(),
                retried: stats.retried.get(),
            })
            .collect();
        let counters = &self.counters;
        let ready = counters.rounds.get() > 0
            && !counters.is_waiting_for_interface()
            && sinks.iter().all(|sink| sink.opened);
        Snapshot {
            stuck: self.stuck(Instant::now()),
            ready,
            interface_away: counters.is_waiting_for_interface(),
            readings: counters.readings.get(),
            devices: counters.devices.get(),
            records: counters.records(),
            unused: counters.unused().to_vec(),
            withheld: counters.withheld_values(),
            kernel_drops: counters.kernel_drops(),
            sinks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> (RunningStatus, Arc<Counters>, Arc<SinkStats>) {
        let (counters, stats) = (Arc::<Counters>::default(), Arc::<SinkStats>::default());
        let sinks = vec![("mine".to_owned(), Arc::clone(&stats))];
        (RunningStatus::new(Arc::clone(&counters), sinks, true), counters, stats)
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_capture_thread_that_hangs_is_stuck() {
        let (status, counters, sink) = status();
        sink.opened.add(1);
        let mut now = Instant::now();
        for _ in 0..10 {
            counters.rounds.add(1);
            now += CAPTURE_PATIENCE;
            assert_eq!(status.stuck(now), NOTHING, "a silent network is healthy");
        }
        now += CAPTURE_PATIENCE + Duration::from_secs(1);
        assert_eq!(status.stuck(now), ["capture"]);
        status.capture_ended();
        assert_eq!(status.stuck(now), NOTHING);
    }

    #[test]
    fn a_sink_that_does_nothing_is_stuck() {
        let (status, _, sink) = status();
        status.capture_ended();
        let mut now = Instant::now();
        for _ in 0..10 {
            now += SINK_PATIENCE;
            sink.retried.add(1);
            assert_eq!(status.stuck(now), NOTHING, "its server is away");
        }
        sink.opened.add(1);
        now += 10 * SINK_PATIENCE;
        assert_eq!(status.stuck(now), NOTHING, "there is nothing to deliver");
        sink.received.add(1);
        assert_eq!(status.stuck(now), NOTHING);
        now += SINK_PATIENCE + Duration::from_secs(1);
        assert_eq!(status.stuck(now), ["sink mine"]);
        sink.taken.add(1);
        assert_eq!(status.stuck(now), NOTHING);
    }

    #[test]
    fn ready_means_that_everything_is_open() {
        let (status, counters, sink) = status();
        assert!(!status.snapshot().ready);
        counters.rounds.add(1);
        assert!(!status.snapshot().ready);
        sink.opened.add(1);
        assert!(status.snapshot().ready);
    }
}
