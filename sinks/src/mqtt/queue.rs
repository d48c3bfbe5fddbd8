//! Messages on their way out: those that wait, and those that the connection has taken but not
//! delivered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::message::Message;

/// How many messages of an introduction go out together, and how long the next ones wait: a broker
/// and its subscribers drop what comes faster than they take it.
const PORTION: usize = 50;
const PAUSE: Duration = Duration::from_millis(50);

/// The way of a message: waiting, then handed to the connection, then written, then acknowledged if
/// that was asked for. It is kept until the end of that way, so that what a broken connection has
/// not delivered can be sent again.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    /// What a new connection is told first, in portions. It is of no use to the next one.
    introduction: VecDeque<Message>,
    portion: Portion,
    waiting: VecDeque<Message>,
    handed: VecDeque<Handed>,
    unacknowledged: VecDeque<(u16, Handed)>,
}

#[derive(Debug, Default)]
struct Portion {
    sent: usize,
    /// When the next one begins.
    pause: Option<Instant>,
}

/// A message that the connection has taken; nothing where it is not worth sending again.
type Handed = Option<Message>;

impl MessageQueue {
    /// Adds messages after all others.
    pub(super) fn add(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.waiting.extend(messages);
    }

    /// Adds messages that only this connection needs, before all that wait.
    pub(super) fn introduce(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.introduction.extend(messages);
    }

    /// Forgets what waits, and returns how many messages that were.
    pub(super) fn forget(&mut self) -> usize {
        self.introduction.clear();
        std::mem::take(&mut self.waiting).len()
    }

    /// The connection broke: takes back all that it may not have delivered.
    pub(super) fn take_back(&mut self) {
        self.introduction.clear();
        self.portion = Portion::default();
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        let handed = std::mem::take(&mut self.handed);
        let back = unacknowledged.into_iter().map(|(_, message)| message).chain(handed);
        for message in back.rev().flatten() {
            self.waiting.push_front(message);
        }
    }

    /// The next message, if it may be sent now.
    pub(super) fn next(&self, now: Instant) -> Option<&Message> {
        match self.introduction.front() {
            Some(_) if self.portion.pause.is_some_and(|until| now < until) => None,
            Some(message) => Some(message),
            None => self.waiting.front(),
        }
    }

    /// When the next message may be sent, where it has to wait for that.
    pub(super) fn resumes(&self, now: Instant) -> Option<Instant> {
        self.portion.pause.filter(|until| *until > now && !self.introduction.is_empty())
    }

    /// Notes that the connection has taken the next message.
    pub(super) fn hand_over(&mut self, now: Instant) {
        if self.introduction.pop_front().is_some() {
            self.handed.push_back(None);
            self.portion.sent += 1;
            if self.portion.sent.is_multiple_of(PORTION) {
                self.portion.pause = Some(now + PAUSE);
            }
        } else if let Some(message) = self.waiting.pop_front() {
            self.handed.push_back(Some(message));
        }
    }

    /// Drops the next message, which cannot be sent at all.
    pub(super) fn skip(&mut self) {
        if self.introduction.pop_front().is_none() {
            self.waiting.pop_front();
        }
    }

    /// Notes that the connection has written the oldest message that it had taken. A number other
    /// than 0 is that of the acknowledgement to come.
    pub(super) fn written(&mut self, number: u16) {
        if let Some(message) = self.handed.pop_front()
            && number != 0
        {
            self.unacknowledged.push_back((number, message));
        }
    }

    /// Notes that the broker has acknowledged a message.
    pub(super) fn acknowledged(&mut self, number: u16) {
        if let Some(index) = self.unacknowledged.iter().position(|(known, _)| *known == number) {
            self.unacknowledged.remove(index);
        }
    }

    /// How many messages wait that are not only for this connection.
    pub(super) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every message has come to the end of its way.
    pub(super) fn is_empty(&self) -> bool {
        self.introduction.is_empty()
            && self.waiting.is_empty()
            && self.handed.is_empty()
            && self.unacknowledged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Message {
        Message::lasting(number.to_string(), "")
    }

    fn topics(queue: &mut MessageQueue, now: Instant) -> Vec<String> {
        let mut topics = Vec::new();
        while let Some(message) = queue.next(now) {
            topics.push(message.topic.clone());
            queue.hand_over(now);
        }
        topics
    }

    #[test]
    fn an_introduction_goes_first_and_in_portions() {
        let (mut queue, now) = (MessageQueue::default(), Instant::now());
        queue.add([message(1000)]);
        queue.introduce((0..120).map(message));
        let mut sizes = Vec::new();
        let mut clock = now;
        while let Some(count) = Some(topics(&mut queue, clock).len()).filter(|it| *it > 0) {
            sizes.push(count);
            clock = queue.resumes(clock).unwrap_or(clock);
        }
        assert_eq!(sizes, [50, 50, 21]);
        assert_eq!(clock - now, 2 * PAUSE);
    }

    #[test]
    fn a_broken_connection_gives_back_what_it_may_not_have_delivered_in_order() {
        let (mut queue, now) = (MessageQueue::default(), Instant::now());
        queue.introduce([message(99)]);
        queue.add((0..4).map(message));
        assert_eq!(topics(&mut queue, now), ["99", "0", "1", "2", "3"]);
        // The introduction, then 0 to 2 are written; 1 without an acknowledgement to come.
        for number in [7, 8, 0, 9] {
            queue.written(number);
        }
        queue.acknowledged(8);
        assert!(!queue.is_empty());
        queue.take_back();
        queue.add([message(4)]);
        assert_eq!(topics(&mut queue, now), ["2", "3", "4"]);
        for number in [1, 2, 3] {
            queue.written(number);
        }
        for number in [3, 1, 2] {
            queue.acknowledged(number);
        }
        assert!(queue.is_empty());
    }
}
