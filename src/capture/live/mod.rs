//! Frames as the devices send them, from a network interface.
//!
//! The kernel filters by ethertype before a byte is copied, and the devices' multicast group is
//! joined on the socket, so that the network card needs no promiscuous mode. An interface that is
//! missing, down or replaced is waited for.
//!
//! Frames are received bare and behind one VLAN tag, which the kernel takes off; behind two
//! (802.1ad) they are not, except by [`LiveSource::open_wire`]. On a port of a bridge the bridge takes the frames: listen on the bridge.

mod channel;
mod filter;
mod interface;
mod monitor;
mod permission;
mod probe;
mod silence;
mod socket;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use energi_sinks::stats::Counter;
use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::stop::Stop;
use super::{CaptureError, Event, Link, Packet, Source};
use crate::platform::privileges::Rights;
use channel::{Channel, OpenError, READ_TIMEOUT};
pub use interface::{InterfaceName, InterfaceNameError, LinkState, find, list};
pub use monitor::TrafficMonitor;
pub use permission::program;
pub use probe::{InterfaceProbe, forbidden, probe, probe_found};
use silence::Silence;
use socket::CaptureFilter;

/// Interval at which the interface is looked at and the kernel's counts are read, and so the
/// longest wait for a frame. An interface that goes down or is deleted ends the wait at once.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The waits between tries to reopen: from the first, doubling, to the longest. A try is two
/// system calls while the interface is missing.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Options of a live capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// The network interface.
    pub interface: InterfaceName,
    /// True to switch the network card's own filter off: only for one that does not let the
    /// group through as it should. The kernel undoes it when the socket closes.
    pub promiscuous: bool,
}

/// Counters of the capture, over all reopenings.
#[derive(Debug, Default)]
pub struct LiveCounters {
    /// Frames handed on.
    pub received: Counter,
    /// Frames that passed the kernel's filter, the dropped ones among them. A second old.
    pub kernel_passed: Counter,
    /// Frames that the kernel dropped because the socket's queue was full. A second old.
    pub kernel_drops: Counter,
    /// Number of times that the interface was listened on again, or packets came again from another
    /// machine, after an outage.
    pub reopened: Counter,
    /// Packets of another machine that came again, and were left out.
    pub repeated: Counter,
    /// Messages of a stream that are no capture, or a damaged one.
    pub damaged: Counter,
    /// True if the interface is away now.
    pub away: AtomicBool,
}

/// A network interface as a source of packets.
#[derive(Debug)]
pub struct LiveSource {
    settings: LiveSettings,
    filter: CaptureFilter,
    counters: Arc<LiveCounters>,
    listening: Listening,
    /// Error of the last read, to be handled before the next one.
    trouble: Option<io::Error>,
    silence: Silence,
    next_check: Instant,
    /// Signal that ends a wait.
    stop: Option<Stop>,
    /// Time of the last frame.
    stamped: Option<Timestamp>,
}

#[derive(Debug)]
enum Listening {
    /// Frames come.
    Open(Channel),
    /// The interface is gone or going; what the kernel has queued is still read.
    Draining { channel: Channel, why: String },
    /// The interface is away.
    Waiting(Wait),
}

/// A wait for the interface.
#[derive(Debug)]
struct Wait {
    /// Time of the next attempt.
    until: Instant,
    /// Pause after that.
    next: Duration,
    /// Obstacle to listening when it was last logged, unless the interface was just away.
    said: Option<String>,
}

impl Wait {
    /// Starts after a pause: an interface that fails as soon as it is opened must not keep a core
    /// busy.
    fn begin(now: Instant) -> Listening {
        Listening::Waiting(Self { until: now + FIRST_WAIT, next: FIRST_WAIT, said: None })
    }

    fn longer(&mut self, now: Instant) {
        self.until = now + self.next;
        self.next = (self.next * 2).min(LONGEST_WAIT);
    }
}

impl LiveSource {
    /// Listens on an interface, or waits for it where it is missing or down.
    ///
    /// # Errors
    /// [`CaptureError::Permission`] says how to get it; [`CaptureError::Io`] for an interface that
    /// can never be listened on.
    pub fn open(settings: LiveSettings) -> Result<Self, CaptureError> {
        Self::with_filter(settings, CaptureFilter::Devices)
    }

    /// Opens a source as [`LiveSource::open`] does, for frames as they are on the wire: with all
    /// their VLAN tags, and on the port of a bridge too.
    ///
    /// # Errors
    /// As [`LiveSource::open`].
    pub fn open_wire(settings: LiveSettings) -> Result<Self, CaptureError> {
        Self::with_filter(settings, CaptureFilter::DevicesTagged)
    }

    fn with_filter(settings: LiveSettings, filter: CaptureFilter) -> Result<Self, CaptureError> {
        let now = Instant::now();
        let interface = &settings.interface;
        let listening = match Channel::open(&settings, filter) {
            Ok(channel) => {
                info!(%interface, "listening");
                if filter == CaptureFilter::Devices
                    && let Some(bridge) = interface::bridge(interface.as_str())
                {
                    warn!(%interface, "a port of {bridge}, which takes its frames: use {bridge} instead");
                }
                Listening::Open(channel)
            }
            Err(OpenError::Away(_)) => {
                warn!("{}; waiting for it", probe(interface));
                Wait::begin(now)
            }
            Err(error) => return Err(error.on(interface)),
        };
        Ok(Self {
            settings,
            filter,
            counters: Arc::default(),
            listening,
            trouble: None,
            silence: Silence::new(now),
            next_check: now + CHECK_EVERY,
            stop: None,
            stamped: None,
        })
    }

    /// The counters, which stay readable when the source has moved to its thread.
    #[must_use]
    pub fn counters(&self) -> Arc<LiveCounters> {
        Arc::clone(&self.counters)
    }

    /// Everything but reading: what the last read failed with, and what is due at `now`.
    fn attend(&mut self, now: Instant) {
        if let Some(error) = self.trouble.take() {
            self.fail(error, now);
        }
        if let Listening::Waiting(wait) = &self.listening {
            self.silence.excuse(now);
            if now >= wait.until {
                self.reopen(now);
            }
        }
        if now >= self.next_check {
            self.next_check = now + CHECK_EVERY;
            self.check(now);
        }
    }

    /// Deals with a failed read. A read that merely waited in vain ends the draining, if any.
    fn fail(&mut self, error: io::Error, now: Instant) {
        self.listening = match std::mem::replace(&mut self.listening, Wait::begin(now)) {
            Listening::Open(channel) if is_harmless(&error) => Listening::Open(channel),
            Listening::Open(channel) => {
                let why = channel.explain(error).to_string();
                Listening::Draining { channel, why }
            }
            Listening::Draining { channel, why } => {
                self.count(&channel);
                let interface = &self.settings.interface;
                warn!(%interface, why, "the interface went away; waiting for it");
                Wait::begin(now)
            }
            waiting @ Listening::Waiting(_) => waiting,
        };
    }

    fn reopen(&mut self, now: Instant) {
        let Listening::Waiting(wait) = &mut self.listening else { return };
        let interface = &self.settings.interface;
        match Channel::open(&self.settings, self.filter) {
            Ok(channel) => {
                info!(%interface, "the interface is available; listening");
                self.counters.reopened.add(1);
                self.listening = Listening::Open(channel);
            }
            Err(OpenError::Away(state)) => {
                debug!(%interface, "not yet: the interface {state}");
                wait.longer(now);
            }
            Err(error) => {
                let error = error.to_string();
                if wait.said.as_ref() != Some(&error) {
                    warn!(%interface, "cannot capture on the interface yet: {error}");
                    wait.said = Some(error);
                }
                wait.longer(now);
            }
        }
    }

    fn check(&mut self, now: Instant) {
        self.listening = match std::mem::replace(&mut self.listening, Wait::begin(now)) {
            Listening::Open(channel) => {
                self.count(&channel);
                if channel.is_on(&self.settings) {
                    Listening::Open(channel)
                } else {
                    let why = "it was deleted, renamed or replaced".to_owned();
                    Listening::Draining { channel, why }
                }
            }
            other => other,
        };
        if self.silence.is_worth_a_word(now) {
            self.say_silent();
        }
    }

    /// Adds up the kernel's counts, which begin at zero with each reading and each socket.
    fn count(&self, channel: &Channel) {
        if let Ok(statistics) = channel.take_statistics() {
            self.counters.kernel_passed.add(statistics.passed);
            self.counters.kernel_drops.add(statistics.dropped);
        }
    }

    fn say_silent(&self) {
        let probe = probe(&self.settings.interface);
        warn!(
            "no frame from a device for {} s: {probe}. This machine must be on the same network segment \
             as a myenergi hub or eddi that is connected by cable, with no router or Wi-Fi bridge \
             between; `energi-gateway doctor -i {}` shows what arrives and what to do",
            silence::LONG.as_secs(),
            self.settings.interface,
        );
    }
}

impl Source for LiveSource {
    fn interface(&self) -> Option<&str> {
        Some(self.settings.interface.as_str())
    }

    /// Never fails and never ends: what is wrong with the interface may pass.
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        let now = Instant::now();
        self.attend(now);
        let Self {
            settings, listening, trouble, counters, silence, next_check, stop, stamped, ..
        } = self;
        counters.away.store(matches!(listening, Listening::Waiting(_)), Ordering::Relaxed);
        // Without anything that can wake it the wait ends soon, so that the caller can stop.
        let longest = if stop.is_some() { CHECK_EVERY } else { READ_TIMEOUT };
        let (channel, due) = match listening {
            Listening::Open(channel) => (channel, *next_check),
            Listening::Draining { channel, .. } => (channel, now),
            Listening::Waiting(wait) => {
                let due = wait.until.min(*next_check).saturating_duration_since(now);
                socket::sleep(due.min(longest), stop.as_ref().and_then(Stop::descriptor));
                return Ok(Event::Idle);
            }
        };
        let longest = due.saturating_duration_since(now).min(longest);
        match channel.receive(longest, stop.as_ref()) {
            Ok(bytes) => {
                counters.received.add(1);
                if let Some(silent) = silence.frame(now) {
                    let interface = &settings.interface;
                    info!(%interface, "frames arrive again after {} s", silent.as_secs());
                }
                let time = distinct(wall_clock(), *stamped);
                *stamped = Some(time);
                Ok(Event::Packet(Packet::whole(Some(time), Link::Ethernet, bytes)))
            }
            Err(error) => {
                *trouble = Some(error);
                Ok(Event::Idle)
            }
        }
    }

    fn wake_on(&mut self, stop: &Stop) {
        self.stop = Some(stop.clone());
    }

    /// An interface that comes back is listened on with a new socket.
    fn rights(&self) -> Rights {
        Rights::Capture
    }
}

/// Keeps what the kernel still counted when the source ends.
impl Drop for LiveSource {
    fn drop(&mut self) {
        if let Listening::Open(channel) | Listening::Draining { channel, .. } = &self.listening {
            self.count(channel);
        }
    }
}

/// Returns whether nothing came, a signal did, or another reader was faster.
fn is_harmless(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | Interrupted | WouldBlock)
}

/// The time to the microsecond, as every output shows it.
fn wall_clock() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Returns `now`, or the microsecond after `last` where the clock has not moved on since: frames of
/// one read are handled within a microsecond, and databases tell readings apart by their time. A
/// clock that was set back by more than a millisecond is followed.
fn distinct(now: Timestamp, last: Option<Timestamp>) -> Timestamp {
    let moved_on = |last: Timestamp| now > last || last - Duration::from_millis(1) > now;
    match last {
        Some(last) if !moved_on(last) => last + Duration::from_micros(1),
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_frames_have_one_time() {
        let at = |micros: i64| Timestamp::from_microsecond(1_000_000 + micros).unwrap();
        for (now, last, expected) in
            [(5, None, 5), (5, Some(4), 5), (5, Some(5), 6), (5, Some(9), 10), (5, Some(1_006), 5)]
        {
            assert_eq!(distinct(at(now), last.map(at)), at(expected), "{now} {last:?}");
        }
    }
}
