//! The task that holds the connection: it connects, polls, and connects again.
//!
//! Everything that it does between two polls is short and never waits, so that the connection is
//! always served: the answer to a ping is not late because something is published, and nobody who
//! publishes waits for a broker unless a recording is replayed.

mod log;
mod requests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use rumqttc::{AsyncClient, Event, EventLoop, Outgoing};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::config::MqttConfig;
use super::discovery::Announcement;
use super::failure::{ConnectionFailure, is_too_large};
use super::options::{self, options, unique_client_id};
use super::queue::MessageQueue;
use super::tracker::DeviceTracker;
use crate::runner::Backoff;
use crate::sink::{Backpressure, Context, SinkError};

use log::ConnectionLog;
pub(super) use wire::STOOD;

/// How many messages the connection takes before it has written the first of them.
const CHANNEL: usize = 100;

/// How often it is said that a recording waits for the broker.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// What the session is asked to do. Each is answered once.
#[derive(Debug)]
pub(super) enum Request {
    /// Publish what follows from readings. The answer is how many of them came to nothing.
    Publish(Vec<Arc<Reading>>, Answer<usize>),
    /// Say goodbye.
    Close(Answer<()>),
}

type Answer<T> = oneshot::Sender<Result<T, SinkError>>;

/// How a connection ended.
enum End {
    /// It broke, or did not come to stand.
    Lost(ConnectionFailure),
    /// It was ended by us, or there is nobody left to hold it for.
    Over,
}

/// Everything that happens around a connection.
pub(super) struct Session {
    config: Arc<MqttConfig>,
    /// The sink's name, for messages.
    name: String,
    backpressure: Backpressure,
    client_id: String,
    requests: mpsc::Receiver<Request>,
    tracker: DeviceTracker,
    queue: MessageQueue,
    link: Link,
    /// Whoever waits until everything is delivered; only while a recording is replayed.
    delivering: Option<Answer<usize>>,
    closing: Option<Answer<()>>,
    backoff: Backoff,
    /// Why there is no connection.
    failure: Option<ConnectionFailure>,
    log: ConnectionLog,
    /// When the connection will have stood long enough to be a good one.
    holds: Option<Instant>,
    /// Whether the current values are to be sent once nothing older waits.
    restate: bool,
    /// When to say again that a recording waits.
    remind: Option<Instant>,
    /// Whether there was a connection before.
    introduced: bool,
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// None is being made.
    Down,
    /// One is being made.
    Connecting,
    /// It stands since then.
    Up(Instant),
    /// Nothing follows our goodbye.
    Leaving,
}

impl Session {
    pub(super) fn new(
        config: MqttConfig,
        context: &Context,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            client_id: config.client_id.clone().unwrap_or_else(unique_client_id),
            tracker: DeviceTracker::new(&config, context),
            config: Arc::new(config),
            log: ConnectionLog::new(&context.name),
            name: context.name.clone(),
            backpressure: context.backpressure,
            requests,
            queue: MessageQueue::default(),
            link: Link::Down,
            delivering: None,
            closing: None,
            backoff: Backoff::default(),
            failure: None,
            holds: None,
            restate: false,
            remind: None,
            introduced: false,
        }
    }

    /// Runs until it is closed, or its owner has gone.
    pub(super) async fn run(mut self) {
        loop {
            self.link = Link::Connecting;
            let failure = match self.connection().await {
                End::Lost(failure) => failure,
                End::Over => return,
            };
            self.lost(failure.clone());
            if self.gives_up() {
                return;
            }
            self.log.failed(&failure);
            let wait = self.backoff.next_wait();
            if self.serve(tokio::time::sleep(wait), None).await.is_none() || self.gives_up() {
                return;
            }
        }
    }

    /// Makes a connection and holds it until it ends.
    async fn connection(&mut self) -> End {
        let (config, id) = (Arc::clone(&self.config), self.client_id.clone());
        let will = self.tracker.offline();
        // Files are read anew each time: a password may have been mended.
        let options = tokio::task::spawn_blocking(move || options(&config, &id, Some(will)));
        let options = match self.serve(options, None).await {
            Some(Ok(Ok(options))) => options,
            Some(Ok(Err(error))) => return End::Lost(error.into()),
            // Blocking work is only given up when the program ends.
            Some(Err(_)) | None => return End::Over,
        };
        let (client, mut events) = AsyncClient::new(options, CHANNEL);
        events.set_network_options(options::network());
        self.hold(&client, &mut events).await
    }

    async fn hold(&mut self, client: &AsyncClient, events: &mut EventLoop) -> End {
        loop {
            let publishes = matches!(self.link, Link::Up(_)).then_some(client);
            match self.serve(events.poll(), publishes).await {
                Some(Ok(Event::Outgoing(Outgoing::Disconnect))) => {
                    self.closed(Ok(()));
                    return End::Over;
                }
                Some(Ok(event)) => self.note(event, client),
                // The broker may be quicker to close the connection than we are.
                Some(Err(_)) if self.link == Link::Leaving => {
                    self.closed(Ok(()));
                    return End::Over;
                }
                Some(Err(error)) => {
                    if is_too_large(&error) {
                        self.tracker.hear_no_others();
                    }
                    return End::Lost(self.failure_of(&error));
                }
                None => return End::Over,
            }
        }
    }

    /// Does what it is asked while `work` is under way; `None` once nobody asks any more.
    async fn serve<T>(
        &mut self,
        work: impl Future<Output = T>,
        client: Option<&AsyncClient>,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            // Not only below: work that is never done waiting would leave no time for it.
            if self.wake().is_some_and(|at| at <= Instant::now()) {
                self.tick();
            }
            if let Some(client) = client {
                self.feed(client);
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                request = self.requests.recv() => match request {
                    Some(request) => self.obey(request),
                    None => return None,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            if self.gives_up() {
                return None;
            }
        }
    }

    /// When there is something to do that nobody asks for.
    fn wake(&self) -> Option<Instant> {
        let always = [self.tracker.next_tick(), self.remind];
        let connected = [self.holds, self.queue.resumes(Instant::now()), self.tracker.announces()];
        let connected = connected.into_iter().filter(|_| self.is_up());
        always.into_iter().chain(connected).flatten().min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut messages = Vec::new();
        self.tracker.tick(now, &mut messages);
        self.enqueue(messages);
        if self.is_up()
            && let Some(Announcement { messages, values }) = self.tracker.announcement(now)
        {
            self.queue.introduce(messages);
            self.restate |= values;
        }
        if self.holds.is_some_and(|at| at <= now) {
            self.holds = None;
            self.log.held(&self.config.url, self.backoff.tries());
            self.backoff.reset();
        }
        if self.remind.is_some_and(|at| at <= now) {
            self.remind = self.is_waiting().then(|| now + REMIND_EVERY);
            if let (Some(_), Some(failure)) = (self.remind, &self.failure) {
                let tries = self.backoff.tries();
                warn!(sink = self.name, tries, "the recording waits for the broker: {failure}");
            }
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    fn is_waiting(&self) -> bool {
        self.delivering.is_some() || self.closing.is_some()
    }
}
