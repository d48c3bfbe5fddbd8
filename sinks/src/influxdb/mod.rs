//! `influxdb`: every reading as a point on an InfluxDB 2 server, or another that takes its write
//! API. Nothing is lost while the server is away.
//!
//! **In normal times** a batch goes straight to the server, and the queue on disk
//! ([`crate::outbox`]) is not touched. Only a batch that the server has not confirmed within a
//! second is put there, and from then on every batch, until the queue is empty and the server swift
//! again. A point is thus either confirmed or on the disk at most `flush_interval` after it was
//! read: batches set out two such seconds earlier, since a reading may come while the batch before
//! its own waits one of them.
//!
//! **Order.** What waits is sent oldest first, and fresh points queue up behind it. That they wait
//! costs them little, for a backlog of a week goes through in seconds; that they do not overtake
//! means that a reader who sees a point knows that those before it are there. They are as safe as
//! any: each batch of them is committed before the next is read. Only where the disk is full do
//! they go to the server first, since they would be nowhere else.
//!
//! **At least once.** A batch whose answer was lost is sent again. The same point twice is one point
//! to InfluxDB; to `VictoriaMetrics` it is two of one time, unless it is told to
//! `-dedup.minScrapeInterval=1ms`.
//!
//! **Answers.** Any 2xx: taken. 400: the batch is halved down to the points that cannot be read,
//! which are set aside with the server's words, unless the server has neither taken any nor asked for
//! any. 413: halved. 422, and 400 with `partial write`: taken in part; what was left out is counted
//! and said. 401, 403, 404 and what no InfluxDB
//! answers: everything waits, and is tried once a minute. 429, 5xx and no answer: tried again after
//! a pause that grows to a minute. A server's `Retry-After` is not seen: the client keeps it to
//! itself.
//!
//! **The end.** A recording's last batch is followed by all that waits, as long as the server
//! answers. A live gateway stores what is not sent and ends; its next run sends it.

mod answer;
mod backfill;
mod client;
mod config;
mod courier;
mod delivery;
pub mod lines;
mod packer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use energi_decoders::Reading;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::outbox::{self, Outbox, Plan};
use crate::settings::Problem;
use crate::sink::{
    Backpressure, Batching, Context, Destination, QueueStats, Sink, SinkConfig, SinkError, Written,
};
use crate::timestamp_filter::TimestampFilter;

pub use backfill::Backfill;
pub use config::{Config, Queue};
pub use delivery::Dealt;

use answer::Answer;
use client::Client;
use courier::{Courier, Pauses, Progress, Road, Step};
use delivery::Delivery;
use lines::{Encoder, Lines};

/// The longest that a batch waits for the server's word before it is put on the disk.
const GRACE: Duration = Duration::from_secs(1);

/// Between the tries of what somebody must mend.
const REFUSED: Duration = Duration::from_mins(1);

#[async_trait]
impl SinkConfig for Config {
    fn named(&mut self, name: &str) {
        Config::named(self, name);
    }

    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    fn destination(&self) -> Option<Destination> {
        Some(Destination::file("queue.path", &self.queue.path))
    }

    fn outbox(&self) -> Option<Plan> {
        Some(self.plan())
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(Influx::open(self, context).await?))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        let answer = {
            let client = Client::new(self.clone()).await;
            client.ready()?;
            client.probe().await.map_err(SinkError::transient)?
        };
        let path = self.queue.path.clone();
        let queue = tokio::task::spawn_blocking(move || outbox::probe(&path)).await;
        let queue = queue.unwrap_or_else(|error| Err(SinkError::transient(error.to_string())))?;
        Ok(format!("{answer}; queue {queue}"))
    }

    fn is_remote(&self) -> bool {
        true
    }
}

impl Config {
    fn plan(&self) -> Plan {
        let Queue { path, max_bytes } = self.queue.clone();
        Plan { path, max_bytes, items: "points" }
    }
}

/// An open sink: fresh points on their way, with a courier beside for those that wait.
#[derive(Debug)]
struct Influx {
    sink: String,
    backpressure: Backpressure,
    client: Arc<Client>,
    delivery: Delivery,
    outbox: Outbox,
    encoder: Encoder,
    timestamp_filter: TimestampFilter,
    road: Arc<Road>,
    courier: Errand,
    /// How long a batch waits for the server's word.
    grace: Duration,
    batching: Batching,
    /// The points of a batch that found no place anywhere, and will be offered again.
    stranded: Option<Lines>,
}

/// Where the courier is.
#[derive(Debug)]
enum Errand {
    Out { call: oneshot::Sender<()>, task: JoinHandle<Option<Courier>> },
    Home(Box<Courier>),
    Gone,
}

impl Influx {
    async fn open(config: &Config, context: &Context) -> Result<Self, SinkError> {
        let flush = config.flush_interval.duration();
        let grace = GRACE.min(flush / 4);
        let client = Arc::new(Client::new(config.clone()).await);
        let outbox = Outbox::open(config.plan()).await?;
        let road = Arc::new(Road::default());
        let sink = context.name.clone();
        let trouble = match timeout(GRACE, client.probe()).await {
            Ok(Ok(answer)) => {
                info!(sink, "{answer}");
                None
            }
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => Some(format!("{}: no answer yet", client.address())),
        };
        road.clear.store(trouble.is_none(), Ordering::Relaxed);
        if let Some(trouble) = &trouble {
            let file = outbox.path().display();
            warn!(sink, "{trouble}; trying again, and points wait in {file} until then");
        }
        let delivery = Delivery::new(sink.clone(), Arc::clone(&client));
        let courier = Courier {
            sink: sink.clone(),
            outbox: outbox.clone(),
            client: Arc::clone(&client),
            delivery: delivery.clone(),
            batch_size: config.batch_size,
            pauses: Pauses { refused: REFUSED, swift: grace / 2 },
            road: Arc::clone(&road),
            progress: Progress::default(),
            said: trouble,
            backoff: Backoff::default(),
        };
        let (call, called) = oneshot::channel();
        Ok(Self {
            sink,
            backpressure: context.backpressure,
            client,
            delivery,
            outbox,
            encoder: Encoder::new(context.site.as_deref(), &context.device_names),
            timestamp_filter: TimestampFilter::new(context),
            road,
            courier: Errand::Out { call, task: tokio::spawn(courier.run(called)) },
            grace,
            batching: Batching {
                readings: config.batch_size,
                wait: flush.saturating_sub(2 * grace),
            },
            stranded: None,
        })
    }

    /// The points of a batch.
    fn points(&mut self, batch: &[Arc<Reading>]) -> Lines {
        let mut lines = Lines::default();
        for reading in self.timestamp_filter.admit(batch).iter() {
            self.encoder.reading(reading, &mut lines);
        }
        lines
    }

    /// Sends points past the queue, if it is empty and the server swift. Returns how many
    /// of them the server has, unless they have to wait.
    async fn go_straight(&self, lines: &Lines) -> Option<usize> {
        if self.outbox.waiting() > 0 || !self.road.clear.load(Ordering::Relaxed) {
            return None;
        }
        match timeout(self.grace, self.client.write(lines)).await {
            Ok(Answer::Taken) => Some(lines.count()),
            Ok(Answer::TakenInPart { said, dropped }) => Some(self.left_out(&said, dropped, lines)),
            // The courier finds out what is wrong with them.
            Ok(Answer::Malformed(_) | Answer::TooLarge(_)) => None,
            Ok(Answer::Refused(_) | Answer::Away(_)) | Err(_) => {
                self.road.clear.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    /// Counts what the server left out, and returns how many it took.
    fn left_out(&self, said: &str, dropped: Option<usize>, lines: &Lines) -> usize {
        let points = self.delivery.left_out(said, dropped, lines);
        self.road.rejected.fetch_add(points as u64, Ordering::Relaxed);
        lines.count() - points
    }

    /// Calls the courier home.
    async fn call_home(&mut self) -> Option<&mut Courier> {
        self.courier = match std::mem::replace(&mut self.courier, Errand::Gone) {
            Errand::Out { call, task } => {
                // Where nobody listens it has ended by itself.
                let _ended = call.send(());
                match task.await {
                    Ok(Some(courier)) => Errand::Home(Box::new(courier)),
                    Ok(None) | Err(_) => Errand::Gone,
                }
            }
            there => there,
        };
        match &mut self.courier {
            Errand::Home(courier) => Some(courier),
            Errand::Out { .. } | Errand::Gone => None,
        }
    }

    /// Delivers all that waits.
    async fn drain(&mut self) -> Result<(), SinkError> {
        let file = self.outbox.path().to_owned();
        let Some(courier) = self.call_home().await else {
            return Err(SinkError::permanent(format!("{}: it was closed", file.display())));
        };
        loop {
            match courier.step().await {
                Ok(Step::Onward) => {}
                Ok(Step::Rest) => return Ok(()),
                Ok(Step::Unforgotten(why)) => {
                    warn!(
                        sink = self.sink,
                        "{why}; every point is delivered, some of them again by the next run"
                    );
                    return Ok(());
                }
                Err(trouble) => {
                    return Err(SinkError::transient(self.still_waiting(&trouble, &file)));
                }
            }
        }
    }

    fn still_waiting(&self, why: &dyn std::fmt::Display, file: &Path) -> String {
        let (waiting, file) = (self.outbox.waiting(), file.display());
        format!("{why}; {waiting} points wait in {file}, and the next run sends them")
    }
}

#[async_trait]
impl Sink for Influx {
    fn batching(&self) -> Batching {
        self.batching
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let lines = self.stranded.take().unwrap_or_else(|| self.points(batch));
        let skipped = batch.len().saturating_sub(lines.count());
        if lines.is_empty() {
            return Ok(Written { delivered: 0, skipped });
        }
        if let Some(delivered) = self.go_straight(&lines).await {
            return Ok(Written { delivered, skipped });
        }
        let Err(error) = self.outbox.push(lines.clone().into()).await else {
            self.road.queued.notify_one();
            return Ok(Written { delivered: 0, skipped });
        };
        // The disk does not take them. The server may.
        match self.client.write(&lines).await {
            Answer::Taken => return Ok(Written { delivered: lines.count(), skipped }),
            Answer::TakenInPart { said, dropped } => {
                let delivered = self.left_out(&said, dropped, &lines);
                return Ok(Written { delivered, skipped });
            }
            _ => {}
        }
        self.stranded = Some(lines);
        Err(error)
    }

    fn queue_stats(&self) -> QueueStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        QueueStats {
            delivered: read(&self.road.delivered),
            waiting: self.outbox.waiting(),
            retried: read(&self.road.retried),
            rejected: read(&self.road.rejected) + self.outbox.dropped(),
        }
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.timestamp_filter.close();
        match self.backpressure {
            Backpressure::Wait => self.drain().await?,
            Backpressure::DropOldest => {
                self.call_home().await;
                let (waiting, file) = (self.outbox.waiting(), self.outbox.path().display());
                if waiting > 0 {
                    info!(
                        sink = self.sink,
                        "{waiting} points wait in {file}; the next run sends them"
                    );
                }
            }
        }
        self.outbox.close().await
    }
}

impl Drop for Influx {
    fn drop(&mut self) {
        if let Errand::Out { task, .. } = &self.courier {
            task.abort();
        }
    }
}
