//! Why is nothing heard? Looks at the interfaces and at the permission to capture, counts what comes
//! for a while, and says what to do.

mod advice;
mod census;
mod interfaces;
mod report;

use std::thread;
use std::time::{Duration, Instant};

use energi_sinks::stats::Counter;

use crate::capture::CaptureError;
use crate::capture::live::{Ear, InterfaceName, LinkState, Probe, probe};
use crate::capture::stop::Stop;
pub use census::Census;
pub use interfaces::{Interface, Kind};
pub use report::{findings, overview};

/// What was heard on one interface.
#[derive(Debug)]
pub struct Heard {
    /// What was counted.
    pub census: Census,
    /// How long it was listened for.
    pub time: Duration,
    /// Whether nothing of a device came until the network card's own filter was switched off.
    pub unfiltered_only: bool,
    /// Why it ended early, or did not begin.
    pub failed: Option<CaptureError>,
}

impl Patient {
    /// Whether it can be listened on now.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.probe.state == LinkState::Up && self.probe.forbidden.is_none()
    }

    /// How many frames of the devices were heard.
    #[must_use]
    pub fn of_devices(&self) -> u64 {
        self.heard.as_ref().map_or(0, |heard| heard.census.of_devices)
    }
}

impl Heard {
    /// Nothing, for a reason.
    fn nothing(failed: CaptureError) -> Self {
        Self {
            census: Census::default(),
            time: Duration::ZERO,
            unfiltered_only: false,
            failed: Some(failed),
        }
    }
}

/// One interface that was asked about, or that could be the right one.
#[derive(Debug)]
pub struct Patient {
    /// What stands in the way of listening.
    pub probe: Probe,
    /// The interface, where there is one of that name.
    pub interface: Option<Interface>,
    /// What was heard; `None` where it could not be listened on.
    pub heard: Option<Heard>,
}

/// The interface of that name, not listened on yet.
#[must_use]
pub fn look_at(name: &InterfaceName) -> Patient {
    let interface = Interface::all().into_iter().find(|found| found.name == name.as_str());
    Patient { probe: probe(name), interface, heard: None }
}

/// The interfaces that could be the right one: those that speak Ethernet, are up and keep their
/// frames.
#[must_use]
pub fn candidates() -> Vec<Patient> {
    let speaks = |interface: &Interface| !matches!(interface.kind, Kind::Loopback | Kind::Tunnel);
    Interface::all()
        .into_iter()
        .filter(speaks)
        .filter_map(|interface| {
            let probe = probe(&interface.name.parse().ok()?);
            let worth_it = probe.state == LinkState::Up && probe.bridge.is_none();
            worth_it.then_some(Patient { probe, interface: Some(interface), heard: None })
        })
        .collect()
}

/// How far listening is, for whoever waits.
#[derive(Debug, Default)]
pub struct Progress {
    /// Frames of every kind.
    pub frames: Counter,
    /// Frames of the devices.
    pub of_devices: Counter,
}

/// Listens on an interface until `stop` is raised or `time` is over. Where no device has been
/// heard for half of it, the network card's own filter is switched off for the other half.
///
/// # Errors
/// The interface cannot be listened on.
pub fn listen(
    interface: InterfaceName,
    time: Duration,
    stop: &Stop,
    progress: &Progress,
) -> Result<Heard, CaptureError> {
    let start = Instant::now();
    let mut ear = Ear::open(interface)?;
    let (mut census, mut failed, mut unfiltered) = (Census::default(), None, false);
    while !stop.is_raised() && start.elapsed() < time {
        match ear.hear() {
            Ok(Some(frame)) => {
                let before = census.of_devices;
                census.count(frame);
                progress.frames.add(1);
                progress.of_devices.add(census.of_devices - before);
            }
            Ok(None) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        if !unfiltered && census.of_devices == 0 && start.elapsed() >= time / 2 {
            // A card that refuses has said all that there is to know.
            unfiltered = ear.hear_unfiltered().is_ok();
        }
    }
    let unfiltered_only = unfiltered && census.of_devices > 0;
    Ok(Heard { census, time: start.elapsed(), unfiltered_only, failed })
}

/// Listens on every interface that can be listened on, at once, and notes what was heard.
pub fn listen_to_all(patients: &mut [Patient], time: Duration, stop: &Stop, progress: &Progress) {
    thread::scope(|scope| {
        let listeners: Vec<_> = patients
            .iter_mut()
            .filter(|patient| patient.can_listen())
            .map(|patient| {
                let name = patient.probe.interface.clone();
                (patient, scope.spawn(move || listen(name, time, stop, progress)))
            })
            .collect();
        for (patient, listener) in listeners {
            // A panic has been printed; the other interfaces have their answers.
            if let Ok(heard) = listener.join() {
                patient.heard = Some(heard.unwrap_or_else(Heard::nothing));
            }
        }
    });
}
