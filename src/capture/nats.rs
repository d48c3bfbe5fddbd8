//! Frames that sites send to a stream of a NATS server: each message is a capture.
//!
//! A thread of its own reads a durable consumer, and hands each message to the replay reader. A message
//! is acknowledged once every sink has taken what came of it, so that one that a crash interrupts is
//! sent again.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use energi_sinks::CapturedFrame;
use energi_sinks::channel::Hub;
use energi_sinks::nats::{Answer, NatsConsumer, NatsConsumerConfig, NatsMessage, NatsReceipt};
use energi_sinks::runner::{Backoff, SendError};
use energi_sinks::stats::SinkStats;
use jiff::Timestamp;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use super::live::LiveCounters;
use super::replay::ReplaySource;
use super::{CaptureError, Event, Link, Packet, Source, Speed};
use crate::terminal::sanitize::one_line;

/// Time that a read waits for a message: a stop is seen this soon.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// Messages that are held and not yet decoded.
const MOST_UNREAD: usize = 64;

/// Interval at which the sinks' positions are looked at.
const SETTLE_EVERY: Duration = Duration::from_millis(50);

/// Time that the sinks get to take the last messages after the end.
const GRACE: Duration = Duration::from_secs(10);

/// Time that the last acknowledgements may take to reach the server.
const FLUSH: Duration = Duration::from_secs(2);

/// Texts that are logged of one outage; one whose text is never the same is logged no further.
const MOST_REASONS: usize = 8;

/// Progress of the sinks.
#[derive(Debug)]
pub struct SinkPositions {
    /// The channel of readings.
    pub readings: Hub,
    /// Channel of captured frames, where a sink takes those.
    pub frames: Option<Hub<CapturedFrame>>,
    /// Counters of each sink, and whether it takes frames.
    pub sinks: Vec<(bool, Arc<SinkStats>)>,
}

/// Positions in both channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Positions {
    readings: u64,
    frames: u64,
}

impl Positions {
    /// Returns whether these are at or behind `other` in both channels.
    fn reaches(self, other: Self) -> bool {
        self.readings >= other.readings && self.frames >= other.frames
    }
}

impl SinkPositions {
    /// Positions of what has been published.
    fn published(&self) -> Positions {
        Positions {
            readings: self.readings.published(),
            frames: self.frames.as_ref().map_or(0, Hub::published),
        }
    }

    /// Positions of what every sink has taken.
    fn taken(&self) -> Positions {
        let slowest = |frames: bool| {
            let sinks = self.sinks.iter().filter(|(takes_frames, _)| *takes_frames == frames);
            sinks.map(|(_, stats)| stats.position.get()).min().unwrap_or(u64::MAX)
        };
        Positions { readings: slowest(false), frames: slowest(true) }
    }
}

/// A stream as a source of packets.
#[derive(Debug)]
pub struct NatsSource {
    config: NatsConsumerConfig,
    counters: Arc<LiveCounters>,
    positions: Arc<SinkPositions>,
    /// The reader; `None` until the first read, so that it begins with the capture thread's rights.
    reader: Option<Reader>,
    /// The message that is decoded.
    message: Option<Opened>,
    /// The packet given last.
    bytes: Vec<u8>,
}

/// The thread that reads the stream.
#[derive(Debug)]
struct Reader {
    messages: Receiver<NatsMessage>,
    ended: UnboundedSender<Ended>,
}

/// A message that is decoded.
#[derive(Debug)]
struct Opened {
    sequence: u64,
    subject: String,
    replay: ReplaySource,
}

/// The end of a message, and what had been published then.
#[derive(Debug)]
struct Ended {
    sequence: u64,
    published: Positions,
    damaged: bool,
}

impl NatsSource {
    /// A source that connects with the first read.
    #[must_use]
    pub fn new(config: NatsConsumerConfig, positions: SinkPositions) -> Self {
        Self {
            config,
            counters: Arc::default(),
            positions: Arc::new(positions),
            reader: None,
            message: None,
            bytes: Vec::new(),
        }
    }

    /// The counters, which stay readable when the source has moved to its thread.
    #[must_use]
    pub fn counters(&self) -> Arc<LiveCounters> {
        Arc::clone(&self.counters)
    }

    fn start(&mut self) -> Result<&Reader, CaptureError> {
        let reader = if let Some(reader) = self.reader.take() {
            reader
        } else {
            let no_thread = |error| CaptureError::Io(format!("no thread: {error}"));
            let (to_source, messages) = mpsc::channel();
            let (ended, from_source) = unbounded_channel();
            let stream = Stream {
                config: self.config.clone(),
                counters: Arc::clone(&self.counters),
                positions: Arc::clone(&self.positions),
                messages: to_source,
                ended: from_source,
                held: BTreeMap::new(),
                unread: 0,
                backoff: Backoff::default(),
                outage: Vec::new(),
            };
            self.counters.away.store(true, Ordering::Relaxed);
            let runtime =
                runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
            thread::Builder::new()
                .name("nats".to_owned())
                .spawn(move || runtime.block_on(stream.read_on()))
                .map_err(no_thread)?;
            Reader { messages, ended }
        };
        Ok(self.reader.insert(reader))
    }

    /// Notes the end of the message that is decoded.
    fn end(&mut self, fault: Option<&CaptureError>) {
        let Some(Opened { sequence, subject, .. }) = self.message.take() else { return };
        if let Some(fault) = fault {
            self.counters.damaged.add(1);
            let (stream, fault) = (&self.config.stream, fault.to_string());
            warn!(
                stream,
                sequence,
                subject = &*one_line(&subject),
                "a damaged message is passed over: {}",
                one_line(&fault)
            );
        }
        let published = self.positions.published();
        let ended = Ended { sequence, published, damaged: fault.is_some() };
        // The thread is there as long as this source is.
        let _ = self.reader.as_ref().map(|reader| reader.ended.send(ended));
    }
}

impl Source for NatsSource {
    fn needs_every_sink(&self) -> bool {
        true
    }

    /// Never ends: what is wrong with the server may pass.
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        if self.message.is_none() {
            match self.start()?.messages.recv_timeout(READ_TIMEOUT) {
                Ok(NatsMessage { sequence, subject, payload, .. }) => {
                    let name = format!("message {sequence}");
                    let stream = Box::new(Cursor::new(payload));
                    let replay = ReplaySource::new(&name, stream, Speed::Max);
                    self.message = Some(Opened { sequence, subject, replay });
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Event::Idle),
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the thread that reads the stream died".to_owned();
                    return Err(CaptureError::Io(message));
                }
            }
        }
        let Some(opened) = &mut self.message else { return Ok(Event::Idle) };
        let found: Result<Option<(Option<Timestamp>, Link, usize)>, CaptureError> =
            match opened.replay.next() {
                Ok(Event::Packet(Packet { time, link, bytes, length })) => {
                    self.bytes.clear();
                    self.bytes.extend_from_slice(bytes);
                    Ok(Some((time, link, length)))
                }
                Ok(Event::Idle) => return Ok(Event::Idle),
                Ok(Event::End) => Ok(None),
                Err(error) => Err(error),
            };
        match found {
            Ok(Some((time, link, length))) => {
                self.counters.received.add(1);
                Ok(Event::Packet(Packet { time, link, bytes: &self.bytes, length }))
            }
            Ok(None) => {
                self.end(None);
                Ok(Event::Idle)
            }
            Err(fault) => {
                self.end(Some(&fault));
                Ok(Event::Idle)
            }
        }
    }
}

/// A message that the server waits for an answer to.
#[derive(Debug)]
struct Held {
    receipt: NatsReceipt,
    /// Once the message was decoded to its end: what the sinks have to reach, and what the server is
    /// told then.
    due: Option<(Positions, Answer)>,
    /// Time when the server sent the message or was told something about it last.
    told: Instant,
}

/// The consumer, as its thread reads it.
#[derive(Debug)]
struct Stream {
    config: NatsConsumerConfig,
    counters: Arc<LiveCounters>,
    positions: Arc<SinkPositions>,
    messages: Sender<NatsMessage>,
    ended: UnboundedReceiver<Ended>,
    /// Messages by their number in the stream.
    held: BTreeMap<u64, Held>,
    /// Those that are not decoded to their end.
    unread: usize,
    backoff: Backoff,
    /// Reasons that this outage has logged.
    outage: Vec<String>,
}

impl Stream {
    /// Reads one connection after the other until the source is gone.
    async fn read_on(mut self) {
        loop {
            let error = match self.config.open().await {
                Ok(consumer) => match self.read(consumer).await {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.failed(&error);
            let wait = tokio::time::sleep(self.backoff.next_wait());
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    ended = self.ended.recv() => match ended {
                        Some(ended) => self.ended(&ended),
                        None => return,
                    }
                }
            }
        }
    }

    /// Reads one connection until the source is gone.
    async fn read(&mut self, mut consumer: NatsConsumer) -> Result<(), SendError> {
        self.counters.away.store(false, Ordering::Relaxed);
        debug!("{}", consumer.describe());
        let mut settle = tokio::time::interval(SETTLE_EVERY);
        settle.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let room = self.room();
            if room > 0 && !consumer.is_asking() {
                consumer.ask(room).await?;
            }
            tokio::select! {
                message = consumer.next(), if consumer.is_asking() => {
                    let message = message?;
                    self.recovered();
                    if let Some(message) = message {
                        self.take(message);
                    }
                }
                ended = self.ended.recv() => match ended {
                    Some(ended) => self.ended(&ended),
                    None => return self.finish(&consumer).await,
                },
                _ = settle.tick() => {
                    if !consumer.is_open() {
                        let broken = format!("{}: the connection broke", self.config.url);
                        return Err(SendError::transient(broken));
                    }
                    self.settle(&consumer).await?;
                }
            }
        }
    }

    /// Number of messages that there is room for.
    fn room(&self) -> usize {
        let unread = MOST_UNREAD.saturating_sub(self.unread);
        unread.min(self.config.in_flight.saturating_sub(self.held.len()))
    }

    /// Hands a message on, unless the server sends one again that is held.
    fn take(&mut self, message: NatsMessage) {
        let (receipt, told) = (message.receipt.clone(), Instant::now());
        if let Some(held) = self.held.get_mut(&message.sequence) {
            self.counters.repeated.add(1);
            (held.receipt, held.told) = (receipt, told);
            return;
        }
        self.unread += 1;
        self.held.insert(message.sequence, Held { receipt, due: None, told });
        // Nobody takes it where the source is gone, and the server sends it again.
        let _ = self.messages.send(message);
    }

    fn ended(&mut self, ended: &Ended) {
        self.unread = self.unread.saturating_sub(1);
        let answer = if ended.damaged { Answer::Useless } else { Answer::Done };
        if let Some(held) = self.held.get_mut(&ended.sequence) {
            held.due = Some((ended.published, answer));
        }
    }

    /// Acknowledges what every sink has taken, and asks for more time for the rest.
    async fn settle(&mut self, consumer: &NatsConsumer) -> Result<(), SendError> {
        let taken = self.positions.taken();
        let patience = consumer.ack_wait() / 3;
        let mut settled = Vec::new();
        for (sequence, held) in &mut self.held {
            match held.due {
                Some((due, answer)) if taken.reaches(due) => {
                    consumer.answer(&held.receipt, answer).await?;
                    settled.push(*sequence);
                }
                _ if held.told.elapsed() >= patience => {
                    consumer.answer(&held.receipt, Answer::Working).await?;
                    held.told = Instant::now();
                }
                _ => {}
            }
        }
        for sequence in settled {
            self.held.remove(&sequence);
        }
        Ok(())
    }

    /// Waits for the sinks to take what was decoded; the server sends the rest again.
    async fn finish(&mut self, consumer: &NatsConsumer) -> Result<(), SendError> {
        let begun = Instant::now();
        self.held.retain(|_, held| held.due.is_some());
        while !self.held.is_empty() && begun.elapsed() < GRACE {
            self.settle(consumer).await?;
            consumer.flush(FLUSH).await?;
            tokio::time::sleep(SETTLE_EVERY / 5).await;
        }
        Ok(())
    }

    /// Logs a reason that this outage has not logged yet.
    fn failed(&mut self, error: &SendError) {
        self.counters.away.store(true, Ordering::Relaxed);
        let error = error.to_string();
        if self.outage.len() < MOST_REASONS && !self.outage.contains(&error) {
            let stream = &self.config.stream;
            warn!(stream, error = &*one_line(&error), "the stream cannot be read, trying again");
            self.outage.push(error);
        }
    }

    /// Logs the end of an outage.
    fn recovered(&mut self) {
        if self.backoff.tries() > 0 {
            self.backoff.reset();
            self.outage.clear();
            self.counters.reopened.add(1);
            info!(stream = self.config.stream, "the stream can be read again");
        }
    }
}

/// Connects and looks for the consumer.
///
/// # Errors
/// Lines that a run would log.
pub fn probe(config: &NatsConsumerConfig) -> Result<String, CaptureError> {
    let failed = |error: &dyn std::fmt::Display| CaptureError::Io(error.to_string());
    // The caller's thread may belong to a runtime.
    let probe = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let opened = runtime.map_err(|error| failed(&error))?.block_on(config.open());
        opened.map(|consumer| consumer.describe()).map_err(|error| failed(&error))
    };
    thread::scope(|scope| scope.spawn(probe).join())
        .unwrap_or_else(|_| Err(CaptureError::Io("the trial died".to_owned())))
}
