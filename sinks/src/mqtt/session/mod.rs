//! The task that holds the connection: it connects, polls, and connects again.
//!
//! Everything between two polls is short and never waits, so that the connection is always served:
//! no answer to a ping is late because something is published, and no caller waits for a broker
//! unless a recording is replayed.

mod denied;
mod requests;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use rumqttc::{AsyncClient, Event, Outgoing};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::connection::{Connection, unique_client_id};
use super::discovery::Announcement;
use super::failure::ConnectionFailure;
use super::log::ConnectionLog;
use super::queue::MessageQueue;
use super::topics::Topics;
use super::tracker::DeviceTracker;
use crate::runner::Backoff;
use crate::sink::{Backpressure, Context, SinkError};

/// Time between two reminders that a recording waits for the broker.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// A request to the session, answered once.
#[derive(Debug)]
pub(super) enum Request {
    /// Publishes what follows from readings. The answer is the number of those that were skipped.
    Publish(Vec<Arc<Reading>>, Answer<usize>),
    /// Ends the session.
    Close(Answer<()>),
}

type Answer<T> = oneshot::Sender<Result<T, SinkError>>;

/// Result of a connection.
enum End {
    /// A connection that broke, or was not made.
    Lost(ConnectionFailure),
    /// A connection that was ended here, or has no owner any more.
    Over,
}

/// Everything that happens around a connection.
pub(super) struct Session {
    config: Arc<MqttConfig>,
    /// Name of the sink, for messages.
    name: String,
    backpressure: Backpressure,
    client_id: String,
    /// Number of attempts, which decides whose turn it is.
    turn: usize,
    requests: mpsc::Receiver<Request>,
    topics: Topics,
    tracker: DeviceTracker,
    queue: MessageQueue,
    link: Link,
    /// Caller that waits until everything is delivered; only while a recording is replayed.
    delivering: Option<Answer<usize>>,
    closing: Option<Answer<()>>,
    backoff: Backoff,
    /// Reason why there is no connection.
    failure: Option<ConnectionFailure>,
    /// Number of permanent failures in a row.
    permanent_failures: usize,
    log: ConnectionLog,
    /// Time at which the connection will be a good one.
    good: Option<Instant>,
    /// Time at which the gateway's own `online` is missed, once its subscription is granted.
    echo: Option<Instant>,
    echo_missed: bool,
    /// Filters that the broker refuses.
    refused: BTreeSet<String>,
    /// Records whether the current values are to be sent once nothing older waits.
    restate: bool,
    /// Time of the next reminder that a recording waits.
    remind: Option<Instant>,
    /// Records whether there was a connection before.
    introduced: bool,
}

/// State of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// No connection is being made.
    Down,
    /// One is being made.
    Connecting,
    /// Stands since then.
    Up(Instant),
    /// The farewell is sent, and nothing follows.
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
            topics: Topics::new(&config.topic),
            tracker: DeviceTracker::new(&config, context),
            config: Arc::new(config),
            turn: 0,
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
            permanent_failures: 0,
            good: None,
            echo: None,
            echo_missed: false,
            refused: BTreeSet::new(),
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
            let failure = self.lost(failure);
            if self.gives_up() {
                return;
            }
            self.log.failed(&failure);
            self.turn += 1;
            // The other brokers first.
            if self.turn.is_multiple_of(self.config.url.all().len()) {
                let wait = self.backoff.next_wait();
                if self.serve(tokio::time::sleep(wait), None).await.is_none() {
                    return;
                }
            }
            if self.gives_up() {
                return;
            }
        }
    }

    /// Makes a connection and holds it until it ends.
    async fn connection(&mut self) -> End {
        let (config, id) = (Arc::clone(&self.config), self.client_id.clone());
        let (broker, will) = (self.broker().clone(), self.tracker.offline());
        debug!(sink = self.name, %broker, client_id = id, "connecting");
        let opening = async move { Connection::open(config, &broker, &id, Some(will)).await };
        let mut connection = match self.serve(opening, None).await {
            Some(Ok(connection)) => connection,
            Some(Err(failure)) => return End::Lost(failure),
            None => return End::Over,
        };
        let end = self.hold(&mut connection).await;
        if matches!(end, End::Over) && self.link == Link::Leaving {
            connection.finish().await;
            self.closed(Ok(()));
        }
        end
    }

    async fn hold(&mut self, connection: &mut Connection) -> End {
        let client = connection.client.clone();
        loop {
            let stood = match self.link {
                Link::Up(since) => Some(since.elapsed()),
                Link::Down | Link::Connecting | Link::Leaving => None,
            };
            let publishes = stood.is_some().then_some(&client);
            match self.serve(connection.poll(stood), publishes).await {
                Some(Ok(Event::Outgoing(Outgoing::Disconnect))) | None => return End::Over,
                Some(Ok(event)) => self.note(event),
                // The broker may close the connection first.
                Some(Err(_)) if self.link == Link::Leaving => return End::Over,
                Some(Err(failure)) => return End::Lost(failure),
            }
        }
    }

    /// Serves requests and timers while `work` is under way; `None` once nobody asks any more.
    async fn serve<T>(
        &mut self,
        work: impl Future<Output = T>,
        client: Option<&AsyncClient>,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            // Not only below: work that is always ready would leave no time for it.
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
                    Some(Request::Publish(batch, answer)) => self.publish(&batch, answer),
                    Some(Request::Close(answer)) => self.close(answer),
                    None => return None,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            if self.gives_up() {
                return None;
            }
        }
    }

    /// Returns when there is something to do that nobody asks for.
    fn wake(&self) -> Option<Instant> {
        let always = [self.tracker.next_tick(), self.remind];
        let connected =
            [self.good, self.echo, self.queue.resumes(Instant::now()), self.tracker.announces()];
        let connected = connected.into_iter().filter(|_| self.is_up());
        always.into_iter().chain(connected).flatten().min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut messages = Vec::new();
        self.tracker.tick(now, &mut messages);
        self.enqueue(messages);
        if self.is_up()
            && let Some(Announcement { messages, values, .. }) = self.tracker.announcement(now)
        {
            debug!(sink = self.name, messages = messages.len(), values, "announcing");
            self.queue.introduce(messages);
            self.restate |= values;
        }
        if self.good.is_some_and(|at| at <= now) {
            self.good = None;
            self.queue.trust();
            let broker = self.broker().clone();
            self.log.held(&broker);
            self.backoff.reset();
        }
        if self.echo.is_some_and(|at| at <= now) {
            self.echo = None;
            self.miss_echo();
        }
        if self.remind.is_some_and(|at| at <= now) {
            let waits = self.delivering.is_some() || self.closing.is_some();
            self.remind = waits.then(|| now + REMIND_EVERY);
            if let (Some(_), Some(failure)) = (self.remind, &self.failure) {
                let tries = self.backoff.tries();
                warn!(sink = self.name, tries, "the recording waits for the broker: {failure}");
            }
        }
    }

    fn broker(&self) -> &BrokerUrl {
        self.config.url.at(self.turn)
    }

    fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }
}
