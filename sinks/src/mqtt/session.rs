//! The task that holds the connection: it connects, polls, and connects again.
//!
//! Everything that it does between two polls is short and never waits, so that the connection is
//! always served: the answer to a ping is not late because something is published, and nobody who
//! publishes waits for a broker unless a recording is replayed.

use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, Incoming, Outgoing, QoS,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::config::Config;
use super::message::Message;
use super::options::{self, LARGEST_PACKET, options, unique_client_id};
use super::outbox::Outbox;
use super::publisher::Publisher;
use super::trouble::Trouble;
use crate::backoff::Backoff;
use crate::sink::{Context, Pace, SinkError};

/// How many messages the connection takes before it has written the first of them.
const CHANNEL: usize = 100;

/// How many messages may wait for a live connection before the newest values take their place.
const LONGEST_BACKLOG: usize = 4_096;

/// A connection that stood for so long was a good one.
const STOOD: Duration = Duration::from_secs(10);

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
    Lost(Trouble),
    /// It was ended by us, or there is nobody left to hold it for.
    Over,
}

/// Everything that happens around a connection.
pub(super) struct Session {
    config: Arc<Config>,
    /// The sink's name, for messages.
    name: String,
    pace: Pace,
    client_id: String,
    requests: mpsc::Receiver<Request>,
    publisher: Publisher,
    outbox: Outbox,
    link: Link,
    /// Whoever waits until everything is delivered; only while a recording is replayed.
    delivering: Option<Answer<usize>>,
    closing: Option<Answer<()>>,
    backoff: Backoff,
    trouble: Option<Trouble>,
    /// Whether the current values are to be sent once nothing older waits.
    restate: bool,
    /// When to say again that a recording waits.
    remind: Option<Instant>,
    /// Whether there was a connection before.
    introduced: bool,
    /// Readings that came to nothing since the connection was lost.
    passed_over: usize,
    overtaken: bool,
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
        config: Config,
        context: &Context,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            client_id: config.client_id.clone().unwrap_or_else(unique_client_id),
            publisher: Publisher::new(&config, context),
            config: Arc::new(config),
            name: context.name.clone(),
            pace: context.pace,
            requests,
            outbox: Outbox::default(),
            link: Link::Down,
            delivering: None,
            closing: None,
            backoff: Backoff::default(),
            trouble: None,
            restate: false,
            remind: None,
            introduced: false,
            passed_over: 0,
            overtaken: false,
        }
    }

    /// Runs until it is closed, or its owner has gone.
    pub(super) async fn run(mut self) {
        loop {
            self.link = Link::Connecting;
            let trouble = match self.connection().await {
                End::Lost(trouble) => trouble,
                End::Over => return,
            };
            let new = self.trouble.as_ref() != Some(&trouble);
            self.lost(trouble);
            if self.gives_up() {
                return;
            }
            if let Some(trouble) = self.trouble.as_ref().filter(|_| new) {
                warn!(sink = self.name, "{trouble}; trying again");
            }
            let wait = self.backoff.next_wait();
            if self.serve(tokio::time::sleep(wait), None).await.is_none() || self.gives_up() {
                return;
            }
        }
    }

    /// Makes a connection and holds it until it ends.
    async fn connection(&mut self) -> End {
        let (config, id) = (Arc::clone(&self.config), self.client_id.clone());
        let will = self.publisher.offline();
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
                Some(Err(error)) => return End::Lost(self.trouble_of(&error)),
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
        let mut times = [self.publisher.next_tick(), self.remind, None, None];
        if self.is_up() {
            times[2] = self.outbox.resumes(Instant::now());
            times[3] = self.publisher.announces();
        }
        times.into_iter().flatten().min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut messages = Vec::new();
        self.publisher.tick(now, &mut messages);
        self.enqueue(messages);
        if self.is_up()
            && let Some(messages) = self.publisher.announcement(now)
        {
            self.outbox.introduce(messages);
            self.restate = true;
        }
        if self.remind.is_some_and(|at| at <= now) {
            self.remind = self.is_waiting().then(|| now + REMIND_EVERY);
            if let (Some(_), Some(trouble)) = (self.remind, &self.trouble) {
                let tries = self.backoff.tries();
                warn!(sink = self.name, tries, "the recording waits for the broker: {trouble}");
            }
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Publish(batch, answer) => self.publish(&batch, answer),
            Request::Close(answer) => self.close(answer),
        }
    }

    fn publish(&mut self, batch: &[Arc<Reading>], answer: Answer<usize>) {
        let now = Instant::now();
        let mut messages = Vec::new();
        for reading in batch {
            self.publisher.take(reading, now, &mut messages);
        }
        self.enqueue(messages);
        match self.pace {
            Pace::Live => {
                let passed_over = if self.is_up() { 0 } else { batch.len() };
                self.passed_over += passed_over;
                // Whoever asked may have gone.
                let _ = answer.send(Ok(passed_over));
            }
            Pace::Lossless => {
                self.delivering = Some(answer);
                self.remind.get_or_insert(now + REMIND_EVERY);
                self.settle();
            }
        }
    }

    fn close(&mut self, answer: Answer<()>) {
        if !self.introduced && self.publisher.is_empty() {
            // There is nothing to say, and nobody has heard of us.
            let _ = answer.send(Ok(()));
            return;
        }
        let farewell = self.publisher.farewell(Instant::now());
        self.enqueue(farewell);
        self.closing = Some(answer);
        self.remind.get_or_insert(Instant::now() + REMIND_EVERY);
    }

    /// Adds messages to those that wait. A live gateway that is not connected has no use for them:
    /// on the next connect it tells what is current then.
    fn enqueue(&mut self, messages: Vec<Message>) {
        if self.pace == Pace::Live && !self.is_up() {
            return;
        }
        self.outbox.add(messages);
        if self.pace == Pace::Live && self.outbox.backlog() > LONGEST_BACKLOG {
            let dropped = self.outbox.forget();
            self.outbox.introduce(self.publisher.presence());
            self.restate = true;
            if !self.overtaken {
                warn!(
                    sink = self.name,
                    messages = dropped,
                    "the broker is too slow: newer values take the place of those that wait"
                );
                self.overtaken = true;
            }
        }
    }

    /// Hands the connection as many messages as it takes.
    fn feed(&mut self, client: &AsyncClient) {
        let now = Instant::now();
        loop {
            if self.restate && self.outbox.is_empty() {
                self.restate = false;
                self.outbox.introduce(self.publisher.current());
            }
            let Some(message) = self.outbox.next(now) else { break };
            let Message { topic, payload, qos, retain } = message;
            if topic.len() + payload.len() + PACKET_OVERHEAD > LARGEST_PACKET {
                warn!(sink = self.name, topic, "a message of more than 64 KiB is not sent");
                self.outbox.skip();
                continue;
            }
            match client.try_publish(topic, (*qos).into(), *retain, payload.as_bytes()) {
                Ok(()) => self.outbox.hand_over(now),
                // The channel is full: the rest follows once something was written.
                Err(ClientError::TryRequest(_) | ClientError::Request(_)) => return,
            }
        }
        self.settle();
        let leaves = self.closing.is_some() && self.outbox.is_empty();
        if leaves && client.try_disconnect().is_ok() {
            self.link = Link::Leaving;
        }
    }

    fn note(&mut self, event: Event, client: &AsyncClient) {
        match event {
            Event::Incoming(Incoming::ConnAck(_)) => self.connected(client),
            Event::Incoming(Incoming::Publish(heard)) => {
                let (topic, payload) = (&heard.topic, &heard.payload);
                let answer = self.publisher.hear(topic, payload, heard.retain, Instant::now());
                if self.closing.is_none() {
                    self.enqueue(answer.into_iter().collect());
                }
            }
            Event::Incoming(Incoming::PubAck(acknowledged)) => {
                self.outbox.acknowledged(acknowledged.pkid);
                self.settle();
            }
            Event::Outgoing(Outgoing::Publish(number)) => {
                self.outbox.written(number);
                self.settle();
            }
            _ => {}
        }
    }

    fn connected(&mut self, client: &AsyncClient) {
        let broker = &self.config.url;
        let tries = self.backoff.tries();
        if self.trouble.take().is_some() {
            let passed_over = self.passed_over;
            info!(sink = self.name, tries, passed_over, "connected to {broker} again");
        } else {
            info!(sink = self.name, "connected to {broker}");
        }
        self.passed_over = 0;
        self.overtaken = false;
        let now = Instant::now();
        self.link = Link::Up(now);
        self.publisher.connected(now);
        for filter in self.publisher.subscriptions() {
            // There are fewer than the empty channel takes.
            if client.try_subscribe(&filter, QoS::AtLeastOnce).is_err() {
                warn!(sink = self.name, filter, "cannot subscribe");
            }
        }
        if self.closing.is_none() {
            // A replay that was never connected has everything among what waits.
            self.restate = self.introduced || self.pace == Pace::Live;
            if self.restate {
                self.outbox.introduce(self.publisher.presence());
            } else {
                self.outbox.introduce([self.publisher.online()]);
            }
        } else if self.pace == Pace::Live {
            self.outbox.add(self.publisher.current());
            self.outbox.add([self.publisher.offline()]);
        }
        self.introduced = true;
    }

    fn lost(&mut self, trouble: Trouble) {
        if let Link::Up(since) = self.link
            && since.elapsed() >= STOOD
        {
            self.backoff.reset();
        }
        self.link = Link::Down;
        self.restate = false;
        self.outbox.take_back();
        if self.pace == Pace::Live {
            self.outbox.forget();
        }
        self.trouble = Some(trouble);
    }

    fn trouble_of(&self, error: &ConnectionError) -> Trouble {
        Trouble::of(error, &self.config, self.is_up())
    }

    /// Answers whoever waits for everything to be delivered.
    fn settle(&mut self) {
        if !self.outbox.is_empty() || self.restate {
            return;
        }
        if let Some(answer) = self.delivering.take() {
            let _ = answer.send(Ok(0));
        }
    }

    /// Whether the session ends without a connection. Whoever waits is told why.
    fn gives_up(&mut self) -> bool {
        let Some(trouble) = self.trouble.as_ref().filter(|_| self.link == Link::Down) else {
            return false;
        };
        match self.pace {
            // Nothing is lost that would still be of use.
            Pace::Live => {
                if self.closing.is_some() {
                    warn!(sink = self.name, "the last values are not delivered: {trouble}");
                    self.closed(Ok(()));
                    return true;
                }
                false
            }
            Pace::Lossless if trouble.lasting => {
                let broken = || SinkError::Broken(trouble.to_string());
                if let Some(answer) = self.delivering.take() {
                    let _ = answer.send(Err(broken()));
                    return true;
                }
                if let Some(answer) = self.closing.take() {
                    let _ = answer.send(Err(broken()));
                    return true;
                }
                false
            }
            Pace::Lossless => false,
        }
    }

    fn closed(&mut self, how: Result<(), SinkError>) {
        if let Some(answer) = self.closing.take() {
            let _ = answer.send(how);
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    fn is_waiting(&self) -> bool {
        self.delivering.is_some() || self.closing.is_some()
    }
}

/// What a packet has beside its topic and payload, at most (MQTT 3.1.1, 2.2 and 3.3).
const PACKET_OVERHEAD: usize = 1 + 4 + 2 + 2;
