//! Why is nothing received? Looks at the interfaces and at the permission to capture, counts what comes
//! for a while, and says what to do.

mod advice;
mod interfaces;
mod text;
mod traffic;

use std::thread;
use std::time::{Duration, Instant};

use energi_sinks::stats::Counter;

use crate::capture::CaptureError;
use crate::capture::live::{InterfaceName, LinkState, Probe, TrafficMonitor, probe};
use crate::capture::stop::Stop;
pub use interfaces::{InterfaceInfo, InterfaceKind};
pub use text::{diagnosis, overview};
pub use traffic::TrafficStats;

/// What was received on one interface.
#[derive(Debug)]
pub struct Observation {
    /// What was counted.
    pub stats: TrafficStats,
    /// How long it was listened for.
    pub time: Duration,
    /// Whether nothing of a device came until the network card's own filter was switched off.
    pub unfiltered_only: bool,
    /// Why it ended early, or did not begin.
    pub failed: Option<CaptureError>,
}

impl InterfaceReport {
    /// Whether it can be listened on now.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.probe.state == LinkState::Up && self.probe.forbidden.is_none()
    }

    /// How many frames of the devices were received.
    #[must_use]
    pub fn of_devices(&self) -> u64 {
        self.observed.as_ref().map_or(0, |observed| observed.stats.of_devices)
    }
}

impl Observation {
    /// Nothing, for a reason.
    fn nothing(failed: CaptureError) -> Self {
        Self {
            stats: TrafficStats::default(),
            time: Duration::ZERO,
            unfiltered_only: false,
            failed: Some(failed),
        }
    }
}

/// One interface that was asked about, or that could be the right one.
#[derive(Debug)]
pub struct InterfaceReport {
    /// What stands in the way of listening.
    pub probe: Probe,
    /// The interface, where there is one of that name.
    pub interface: Option<InterfaceInfo>,
    /// What was received; `None` where it could not be listened on.
    pub observed: Option<Observation>,
}

/// The interface of that name, not listened on yet.
#[must_use]
pub fn look_at(name: &InterfaceName) -> InterfaceReport {
    let interface = InterfaceInfo::all().into_iter().find(|found| found.name == name.as_str());
    InterfaceReport { probe: probe(name), interface, observed: None }
}

/// The interfaces that could be the right one: those that speak Ethernet, are up and keep their
/// frames.
#[must_use]
pub fn candidates() -> Vec<InterfaceReport> {
    let speaks = |interface: &InterfaceInfo| {
        !matches!(interface.kind, InterfaceKind::Loopback | InterfaceKind::Tunnel)
    };
    InterfaceInfo::all()
        .into_iter()
        .filter(speaks)
        .filter_map(|interface| {
            let probe = probe(&interface.name.parse().ok()?);
            let worth_it = probe.state == LinkState::Up && probe.bridge.is_none();
            worth_it.then_some(InterfaceReport {
                probe,
                interface: Some(interface),
                observed: None,
            })
        })
        .collect()
}

/// How far listening is, for whoever waits.
#[derive(Debug, Default)]
pub struct ListeningProgress {
    /// Frames of every kind.
    pub frames: Counter,
    /// Frames of the devices.
    pub of_devices: Counter,
}

/// Listens on an interface until `stop` is raised or `time` is over. Where no device has been
/// received for half of it, the network card's own filter is switched off for the other half.
///
/// # Errors
/// The interface cannot be listened on.
pub fn listen(
    interface: InterfaceName,
    time: Duration,
    stop: &Stop,
    progress: &ListeningProgress,
) -> Result<Observation, CaptureError> {
    let start = Instant::now();
    let mut monitor = TrafficMonitor::open(interface)?;
    let (mut stats, mut failed, mut unfiltered) = (TrafficStats::default(), None, false);
    while !stop.is_raised() && start.elapsed() < time {
        match monitor.hear() {
            Ok(Some(frame)) => {
                let before = stats.of_devices;
                stats.count(frame);
                progress.frames.add(1);
                progress.of_devices.add(stats.of_devices - before);
            }
            Ok(None) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        if !unfiltered && stats.of_devices == 0 && start.elapsed() >= time / 2 {
            // A card that refuses has said all that there is to know.
            unfiltered = monitor.hear_unfiltered().is_ok();
        }
    }
    let unfiltered_only = unfiltered && stats.of_devices > 0;
    Ok(Observation { stats, time: start.elapsed(), unfiltered_only, failed })
}

/// Listens on every interface that can be listened on, at once, and notes what was received.
pub fn listen_to_all(
    reports: &mut [InterfaceReport],
    time: Duration,
    stop: &Stop,
    progress: &ListeningProgress,
) {
    thread::scope(|scope| {
        let listeners: Vec<_> = reports
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
}
