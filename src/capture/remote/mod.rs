//! Frames that another machine captures: the pcap or pcapng stream of a command, such as `ssh` with
//! `tcpdump`, or of a TCP connection.
//!
//! A thread of its own reads the stream and starts it again, with back-off, when it ends, stalls or
//! is damaged. What a stream repeats is counted once. Times are the remote clock's as long as it
//! agrees with ours.

mod clock;
mod connection;
mod recent;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use energi_sinks::runner::Backoff;
use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::live::LiveCounters;
use super::replay::ReplaySource;
use super::{CaptureError, Event, Link, Packet, Source, Speed};
use crate::terminal::sanitize::one_line;
use clock::RemoteClock;
use connection::{Connection, Handle};
use recent::RecentPackets;

/// Time that a read waits for a packet: a stop is seen this soon.
const READ_TIMEOUT: Duration = Duration::from_millis(250);

/// Packets between the thread that reads and the pipeline.
const WAITING: usize = 1024;

/// Lines of a command that are logged of one connection.
const MOST_LINES: u32 = 10;

/// Texts that are logged of one outage; one whose text is never the same is logged no further.
const MOST_REASONS: usize = 8;

/// Address of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteAddress {
    /// The standard output of a program with these arguments. No shell is between.
    Command(Vec<String>),
    /// A TCP server, as `host:port`.
    Connect(String),
}

impl std::fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(words) => f.write_str(words.first().map_or("", String::as_str)),
            Self::Connect(address) => f.write_str(address),
        }
    }
}

/// Options of a remote capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Address of the stream.
    pub address: RemoteAddress,
    /// The longest time without a packet before the stream is started again.
    pub stall_timeout: Duration,
}

impl RemoteSettings {
    /// Settings for an address. A device sends every two seconds, so a minute without a packet is a
    /// stall.
    #[must_use]
    pub const fn new(address: RemoteAddress) -> Self {
        Self { address, stall_timeout: Duration::from_mins(1) }
    }
}

/// A packet of the stream.
#[derive(Debug)]
struct RemotePacket {
    time: Option<Timestamp>,
    link: Link,
    bytes: Vec<u8>,
    length: usize,
}

/// News from the thread that reads.
#[derive(Debug)]
enum Message {
    Connected,
    Packet(RemotePacket),
    /// A line that the command wrote on standard error.
    Said(String),
    /// The connection is over, for a reason.
    Ended(String),
}

/// Another machine as a source of packets.
#[derive(Debug)]
pub struct RemoteSource {
    settings: RemoteSettings,
    counters: Arc<LiveCounters>,
    /// The reader; `None` until the first read, so that it begins with the capture thread's rights.
    reader: Option<Receiver<Message>>,
    control: Arc<Control>,
    clock: RemoteClock,
    recent: RecentPackets,
    /// Time of the last packet over the connection that is open, or else of its opening.
    last: Option<Instant>,
    stalled: bool,
    lines: u32,
    outage: Vec<String>,
    failures: u64,
    /// The packet given last.
    packet: Option<RemotePacket>,
}

impl RemoteSource {
    /// A source that connects with the first read.
    #[must_use]
    pub fn new(settings: RemoteSettings) -> Self {
        Self {
            settings,
            counters: Arc::default(),
            reader: None,
            control: Arc::default(),
            clock: RemoteClock::default(),
            recent: RecentPackets::default(),
            last: None,
            stalled: false,
            lines: 0,
            outage: Vec::new(),
            failures: 0,
            packet: None,
        }
    }

    /// The counters, which stay readable when the source has moved to its thread.
    #[must_use]
    pub fn counters(&self) -> Arc<LiveCounters> {
        Arc::clone(&self.counters)
    }

    fn start(&mut self) -> Result<&Receiver<Message>, CaptureError> {
        let reader = if let Some(reader) = self.reader.take() {
            reader
        } else {
            let (sender, receiver) = mpsc::sync_channel(WAITING);
            let (address, control) = (self.settings.address.clone(), Arc::clone(&self.control));
            self.counters.away.store(true, Ordering::Relaxed);
            thread::Builder::new()
                .name("remote".to_owned())
                .spawn(move || read_on(&address, &sender, &control))
                .map_err(|error| CaptureError::Io(format!("no thread: {error}")))?;
            receiver
        };
        Ok(self.reader.insert(reader))
    }

    fn take(&mut self, message: Message, now: Instant) -> Option<RemotePacket> {
        let address = &self.settings.address;
        match message {
            Message::Connected => {
                (self.last, self.stalled, self.lines) = (Some(now), false, 0);
                self.counters.away.store(false, Ordering::Relaxed);
                self.clock.reconnected();
                debug!(%address, "connected to the remote capture");
            }
            Message::Said(line) => {
                self.lines += 1;
                if self.lines <= MOST_LINES {
                    info!(%address, "{}", one_line(&line));
                }
            }
            Message::Ended(reason) => {
                self.last = None;
                self.counters.away.store(true, Ordering::Relaxed);
                self.failed(&reason);
                self.stalled = false;
            }
            Message::Packet(packet) => {
                self.last = Some(now);
                let time = packet.time;
                if !self.recent.is_new(time, &packet.bytes) {
                    self.counters.repeated.add(1);
                    return None;
                }
                self.recovered();
                return Some(packet);
            }
        }
        None
    }

    /// Logs a reason that this outage has not logged yet.
    fn failed(&mut self, reason: &str) {
        self.failures += 1;
        let stall = format!("no packet for {} s", self.settings.stall_timeout.as_secs());
        let reason = if self.stalled { stall } else { one_line(reason).into_owned() };
        if self.outage.len() < MOST_REASONS && !self.outage.contains(&reason) {
            let address = &self.settings.address;
            warn!(%address, reason, "the remote capture ended; starting it again");
            self.outage.push(reason);
        }
    }

    /// Logs the end of an outage.
    fn recovered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.outage.clear();
            self.counters.reopened.add(1);
            info!(address = %self.settings.address, "packets arrive again");
        }
    }

    /// Ends a connection over which nothing has come for long.
    fn check_stall(&mut self, now: Instant) {
        let silent = self.last.map(|last| now.saturating_duration_since(last));
        if silent.is_some_and(|silent| silent >= self.settings.stall_timeout) {
            (self.last, self.stalled) = (None, true);
            self.control.end_connection();
        }
    }
}

impl Source for RemoteSource {
    /// Never ends: what is wrong with the stream may pass.
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        let message = self.start()?.recv_timeout(READ_TIMEOUT);
        let now = Instant::now();
        self.check_stall(now);
        let packet = match message {
            Ok(message) => self.take(message, now),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the thread that reads the remote capture died".to_owned();
                return Err(CaptureError::Io(message));
            }
        };
        let Some(packet) = packet else { return Ok(Event::Idle) };
        self.counters.received.add(1);
        let time = self.clock.time(packet.time, Timestamp::now(), &self.settings.address);
        let RemotePacket { link, bytes, length, .. } = self.packet.insert(packet);
        Ok(Event::Packet(Packet { time: Some(time), link: *link, bytes, length: *length }))
    }
}

impl Drop for RemoteSource {
    fn drop(&mut self) {
        self.control.close();
    }
}

/// Control of the reading thread by the source.
#[derive(Debug, Default)]
struct Control {
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    connection: Option<Handle>,
}

impl Control {
    /// No code panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection that is open; the thread begins another.
    fn end_connection(&self) {
        if let Some(connection) = &self.state().connection {
            connection.end();
        }
    }

    /// Ends the thread.
    fn close(&self) {
        self.state().closed = true;
        self.end_connection();
        self.closed.notify_all();
    }

    /// Waits; false where the thread is to end instead.
    fn wait(&self, time: Duration) -> bool {
        let waited = self.closed.wait_timeout_while(self.state(), time, |state| !state.closed);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }
}

/// Reads one connection after the other until the source is gone.
fn read_on(address: &RemoteAddress, sender: &SyncSender<Message>, control: &Control) {
    let mut backoff = Backoff::default();
    loop {
        let mut packets = 0_u64;
        let reason = read(address, sender, control, &mut packets);
        if packets > 0 {
            backoff.reset();
        }
        if sender.send(Message::Ended(reason)).is_err() || !control.wait(backoff.next_wait()) {
            return;
        }
    }
}

/// Reads one connection to its end, and returns why it ended.
fn read(
    address: &RemoteAddress,
    sender: &SyncSender<Message>,
    control: &Control,
    packets: &mut u64,
) -> String {
    let said = sender.clone();
    // A line more or less does not matter where the source is busy.
    let say = move |line| drop(said.try_send(Message::Said(line)));
    let Connection { stream, handle } = match Connection::open(address, say) {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    {
        let mut state = control.state();
        if state.closed {
            handle.end();
        }
        state.connection = Some(handle.clone());
    }
    let _ = sender.send(Message::Connected);
    let mut source = ReplaySource::new(&address.to_string(), stream, Speed::Max);
    let ended = loop {
        match source.next() {
            Ok(Event::Packet(Packet { time, link, bytes, length })) => {
                *packets += 1;
                let packet = RemotePacket { time, link, bytes: bytes.to_vec(), length };
                if sender.send(Message::Packet(packet)).is_err() {
                    break "nobody reads it".to_owned();
                }
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => break "the stream ended".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    control.state().connection = None;
    handle.finish().unwrap_or(ended)
}

/// Connects and waits a few seconds for a packet.
///
/// # Errors
/// Lines that a run would log.
pub fn probe(address: &RemoteAddress) -> Result<String, CaptureError> {
    const LONGEST: Duration = Duration::from_secs(10);
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    let control = Arc::<Control>::default();
    let reader = {
        let (address, control) = (address.clone(), Arc::clone(&control));
        move || {
            let reason = read(&address, &sender, &control, &mut 0);
            let _ = sender.send(Message::Ended(reason));
        }
    };
    thread::spawn(reader);
    let (start, mut connected) = (Instant::now(), false);
    let result = loop {
        match receiver.recv_timeout(LONGEST.saturating_sub(start.elapsed())) {
            Ok(Message::Packet(_)) => break Ok(format!("{address}: packets come")),
            Ok(Message::Connected) => connected = true,
            Ok(Message::Said(line)) => info!(%address, "{}", one_line(&line)),
            Ok(Message::Ended(reason)) => {
                let reason = one_line(&reason);
                break Err(CaptureError::Io(format!("{address}: {reason}")));
            }
            Err(_) if connected => {
                break Ok(format!("{address}: connected, no packet in {} s", LONGEST.as_secs()));
            }
            Err(_) => break Err(CaptureError::Io(format!("{address}: no answer"))),
        }
    };
    control.close();
    result
}
