//! Finds the reason why nothing is received: looks at the interfaces and at the permission to
//! capture, counts what comes for a while, and says what to do.

mod advice;
mod interfaces;
mod text;
mod traffic;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use energi_sinks::stats::Counter;
use jiff::Timestamp;

use crate::capture::CaptureError;
use crate::capture::live::{self, InterfaceName, InterfaceProbe, LinkState, TrafficMonitor};
use crate::capture::stop::Stop;
pub use interfaces::{InterfaceInfo, InterfaceKind};
pub use traffic::TrafficStats;

/// Interfaces that are listened on at once; more are examined by name.
const MOST_LISTENED: usize = 8;

/// A machine and what its interfaces received.
#[derive(Debug)]
pub struct Examination {
    /// Every interface, the likeliest to receive the devices first.
    pub interfaces: Vec<InterfaceInfo>,
    /// Reason why this process may not capture, with the remedy.
    pub forbidden: Option<String>,
    /// Interfaces that were asked about, or that could be the right ones.
    pub reports: Vec<InterfaceReport>,
}

/// One interface that was asked about, or that could be the right one.
#[derive(Debug)]
pub struct InterfaceReport {
    /// Obstacles to listening.
    pub probe: InterfaceProbe,
    /// Kind of the interface, where there is one of that name.
    pub kind: Option<InterfaceKind>,
    /// Frames that were received; `None` where it could not be listened on.
    pub observed: Option<Observation>,
}

/// Frames received on one interface.
#[derive(Debug, Default)]
pub struct Observation {
    /// Counts.
    pub stats: TrafficStats,
    /// Time of listening.
    pub time: Duration,
    /// True if nothing of a device came until the network card's own filter was switched off.
    pub unfiltered_only: bool,
    /// Reason why it ended early, or did not begin.
    pub failed: Option<CaptureError>,
}

/// Progress of capturing, for display.
#[derive(Debug, Default)]
pub struct ListeningProgress {
    /// Frames of every kind.
    pub frames: Counter,
    /// Frames of the devices.
    pub of_devices: Counter,
}

impl Examination {
    /// Looks at the interface of that name, or at each that could be the right one.
    ///
    /// # Errors
    /// The interfaces cannot be listed.
    pub fn begin(name: Option<&InterfaceName>) -> io::Result<Self> {
        let forbidden = live::forbidden();
        let mut interfaces = interfaces::all(forbidden.as_ref())?;
        let reports = match name {
            Some(name) => {
                let found = live::find(name);
                let probe =
                    live::probe_found(name, found.as_ref().map(Option::as_ref), forbidden.clone());
                let found = found?.map(|found| InterfaceInfo::new(&found, &probe));
                let kind = found.as_ref().map(|found| found.kind);
                // The one that was asked about is always among those that are shown.
                let first = |interface: &InterfaceInfo| {
                    found.as_ref().is_some_and(|found| found.name == interface.name)
                };
                interfaces.sort_by_key(|(interface, _)| !first(interface));
                vec![InterfaceReport { probe, kind, observed: None }]
            }
            None => interfaces
                .iter()
                .filter(|(interface, _)| interface.is_candidate())
                .take(MOST_LISTENED)
                .map(|(interface, probe)| InterfaceReport {
                    probe: probe.clone(),
                    kind: Some(interface.kind),
                    observed: None,
                })
                .collect(),
        };
        let interfaces = interfaces.into_iter().map(|(interface, _)| interface).collect();
        Ok(Self { interfaces, forbidden, reports })
    }

    /// Listens on every interface that can be listened on, at once.
    pub fn listen(&mut self, time: Duration, stop: &Stop, progress: &ListeningProgress) {
        thread::scope(|scope| {
            let listeners: Vec<_> = self
                .reports
                .iter_mut()
                .filter(|report| report.can_listen())
                .map(|report| {
                    let name = report.probe.interface.clone();
                    (report, scope.spawn(move || listen(name, time, stop, progress)))
                })
                .collect();
            for (report, listener) in listeners {
                // A panic has been printed; the other interfaces have their answers.
                if let Ok(observed) = listener.join() {
                    report.observed = Some(observed.unwrap_or_else(Observation::nothing));
                }
            }
        });
        // Success first.
        self.reports.sort_by_key(|report| report.of_devices() == 0);
    }

    /// Returns whether anything can be listened on.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.reports.iter().any(InterfaceReport::can_listen)
    }

    /// Returns whether frames of devices were received.
    #[must_use]
    pub fn has_devices(&self) -> bool {
        self.reports.iter().any(|report| report.of_devices() > 0)
    }
}

impl InterfaceReport {
    pub(crate) fn can_listen(&self) -> bool {
        self.probe.state == LinkState::Up && self.probe.forbidden.is_none()
    }

    pub(crate) fn of_devices(&self) -> u64 {
        self.observed.as_ref().map_or(0, |observed| observed.stats.of_devices)
    }
}

impl Observation {
    fn nothing(failed: CaptureError) -> Self {
        Self { failed: Some(failed), ..Self::default() }
    }
}

/// Listens on an interface until `stop` is raised or `time` is over. Where no device has been
/// received for half of it, the network card's own filter is switched off for the other half.
fn listen(
    interface: InterfaceName,
    time: Duration,
    stop: &Stop,
    progress: &ListeningProgress,
) -> Result<Observation, CaptureError> {
    let start = Instant::now();
    let mut monitor = TrafficMonitor::open(interface)?;
    let mut observed = Observation::default();
    let mut unfiltered = false;
    while !stop.is_raised() && start.elapsed() < time {
        let stats = &mut observed.stats;
        match monitor.receive() {
            Ok(Some(frame)) => {
                let before = stats.of_devices;
                stats.count(frame, Timestamp::now());
                progress.frames.add(1);
                progress.of_devices.add(stats.of_devices - before);
            }
            Ok(None) => {}
            Err(error) => {
                observed.failed = Some(error);
                break;
            }
        }
        if !unfiltered && stats.of_devices == 0 && start.elapsed() >= time / 2 {
            // A card that refuses has said all that there is to know.
            unfiltered = monitor.disable_card_filter().is_ok();
        }
    }
    observed.unfiltered_only = unfiltered && observed.stats.of_devices > 0;
    observed.time = start.elapsed();
    Ok(observed)
}
