//! Messages on their way to the broker, and those that it closes the connection for.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::message::Message;

/// Number of steps of an introduction that go out together, and the pause before the next ones: a
/// broker and its subscribers drop what comes faster than they take it.
const PORTION: usize = 50;
const PAUSE: Duration = Duration::from_millis(50);

/// Size below which a message is not refused for its size.
const SMALL: usize = 1_024;

/// Something to ask of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Subscribes to a filter.
    Subscribe(String),
    /// Publishes a message.
    Publish(Message),
}

impl Step {
    /// The topic, or filter.
    pub(super) fn topic(&self) -> &str {
        match self {
            Self::Subscribe(topic) | Self::Publish(Message { topic, .. }) => topic,
        }
    }
}

impl From<Message> for Step {
    fn from(message: Message) -> Self {
        Self::Publish(message)
    }
}

/// Messages on their way: waiting, then taken by the connection, then written, then acknowledged
/// where that was asked for. A message is kept to the end of that way, so that what a broken
/// connection has not delivered can be sent again.
///
/// A broker that dislikes a message (too large, a forbidden topic) closes the connection without
/// saying why. After such an end the next connection is careful: one step at a time, each
/// acknowledged. A step that was under way at the end of one connection, and alone at the end of
/// the next, is left out from then on.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    /// Steps of a new connection, in portions. Useless to the next one.
    introduction: VecDeque<Step>,
    portion: Portion,
    waiting: VecDeque<Message>,
    /// Taken by the connection; whether to send again.
    taken: VecDeque<(Message, bool)>,
    unacknowledged: VecDeque<(u16, Message, bool)>,
    subscribing: VecDeque<String>,
    subscribed: Vec<(u16, String)>,
    /// Records whether this connection takes one step at a time.
    careful: bool,
    suspects: BTreeSet<String>,
    left_out: BTreeSet<String>,
    /// Topics below which everything is left out.
    left_out_below: Option<String>,
}

#[derive(Debug, Default)]
struct Portion {
    sent: usize,
    /// Beginning of the next portion.
    pause: Option<Instant>,
}

impl MessageQueue {
    /// Adds messages after all others.
    pub(super) fn add(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.waiting.extend(messages);
    }

    /// Adds steps that only this connection needs, before all that wait.
    pub(super) fn introduce(&mut self, steps: impl IntoIterator<Item = impl Into<Step>>) {
        self.introduction.extend(steps.into_iter().map(Into::into));
    }

    /// Forgets what waits, and returns the number of those messages.
    pub(super) fn forget(&mut self) -> usize {
        self.introduction.clear();
        std::mem::take(&mut self.waiting).len()
    }

    /// Takes back what a broken connection may not have delivered.
    ///
    /// `closed_early`: the broker closed the connection soon after it had accepted it. Returns the
    /// step for which it did so, once that is certain.
    pub(super) fn lost(&mut self, closed_early: bool) -> Option<Step> {
        let culprit = self.judge(closed_early);
        self.introduction.clear();
        self.portion = Portion::default();
        self.subscribing.clear();
        self.subscribed.clear();
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        let unacknowledged = unacknowledged.into_iter().map(|(_, message, again)| (message, again));
        let back = unacknowledged.chain(std::mem::take(&mut self.taken)).rev();
        for (message, _) in back.filter(|(_, again)| *again) {
            self.waiting.push_front(message);
        }
        culprit
    }

    fn judge(&mut self, closed_early: bool) -> Option<Step> {
        let outstanding: Vec<Step> = {
            let filters = self.subscribing.iter().chain(self.subscribed.iter().map(|(_, it)| it));
            let unacknowledged = self.unacknowledged.iter().map(|(_, message, _)| message);
            let messages = unacknowledged.chain(self.taken.iter().map(|(message, _)| message));
            filters
                .map(|filter| Step::Subscribe(filter.clone()))
                .chain(messages.map(|message| Step::Publish(message.clone())))
                .collect()
        };
        let culprit = match &outstanding[..] {
            [step] if self.careful && closed_early && self.suspects.contains(step.topic()) => {
                Some(step.clone())
            }
            _ => None,
        };
        self.careful = closed_early;
        self.suspects.clear();
        if closed_early {
            self.suspects.extend(outstanding.iter().map(|step| step.topic().to_owned()));
        }
        culprit
    }

    /// Leaves a step out from now on; with a second small message below `prefix`, everything there.
    /// Returns whether it is everything; `None` for a step that stays. A small message that is not
    /// below `prefix` is a value: a network that breaks at random must not cost one.
    pub(super) fn leave_out(&mut self, step: &Step, prefix: Option<&str>) -> Option<bool> {
        if let Step::Publish(message) = step
            && message.payload.len() < SMALL
        {
            let below = format!("{}/", prefix?);
            if !message.topic.starts_with(&below) {
                return None;
            }
            if self.left_out.iter().any(|other| other.starts_with(&below)) {
                self.left_out_below = Some(below);
            }
        }
        self.left_out.insert(step.topic().to_owned());
        Some(self.left_out_below.is_some())
    }

    /// Gives everything another chance: the broker has been away, perhaps to be configured.
    pub(super) fn forgive(&mut self) {
        self.left_out.clear();
        self.left_out_below = None;
    }

    /// Ends the care, which a good connection does not need.
    pub(super) fn trust(&mut self) {
        self.careful = false;
    }

    /// Returns whether every message has to be acknowledged.
    pub(super) fn is_careful(&self) -> bool {
        self.careful
    }

    /// Returns the next step, if there is one that may go now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Step> {
        if self.careful && self.under_way() > 0 {
            return None;
        }
        while let Some(step) = self.introduction.front() {
            if !self.is_left_out(step.topic()) {
                let paused = self.portion.pause.is_some_and(|until| now < until);
                return (!paused).then(|| step.clone());
            }
            self.introduction.pop_front();
        }
        while let Some(message) = self.waiting.front() {
            if !self.is_left_out(&message.topic) {
                return Some(Step::Publish(message.clone()));
            }
            self.waiting.pop_front();
        }
        None
    }

    fn is_left_out(&self, topic: &str) -> bool {
        self.left_out.contains(topic)
            || self.left_out_below.as_ref().is_some_and(|below| topic.starts_with(below))
    }

    /// Returns when the next step may go, where it has to wait for that.
    pub(super) fn resumes(&self, now: Instant) -> Option<Instant> {
        self.portion.pause.filter(|until| *until > now && !self.introduction.is_empty())
    }

    /// Notes that the connection has taken the next step.
    pub(super) fn hand_over(&mut self, now: Instant) {
        if let Some(step) = self.introduction.pop_front() {
            match step {
                Step::Subscribe(filter) => self.subscribing.push_back(filter),
                Step::Publish(message) => self.taken.push_back((message, false)),
            }
            self.portion.sent += 1;
            if self.portion.sent.is_multiple_of(PORTION) {
                self.portion.pause = Some(now + PAUSE);
            }
        } else if let Some(message) = self.waiting.pop_front() {
            self.taken.push_back((message, true));
        }
    }

    /// Drops the next step, which cannot be sent at all.
    pub(super) fn skip(&mut self) {
        if self.introduction.pop_front().is_none() {
            self.waiting.pop_front();
        }
    }

    /// Notes that the connection has written the oldest message that it had taken. A number other
    /// than 0 is that of the acknowledgement to come.
    pub(super) fn written(&mut self, number: u16) {
        if let Some((message, again)) = self.taken.pop_front()
            && number != 0
        {
            self.unacknowledged.push_back((number, message, again));
        }
    }

    /// Notes that the broker has acknowledged a message.
    pub(super) fn acknowledged(&mut self, number: u16) {
        if let Some(index) = self.unacknowledged.iter().position(|(known, ..)| *known == number) {
            self.unacknowledged.remove(index);
        }
    }

    /// Notes that the connection has written the oldest subscription that it had taken.
    pub(super) fn subscription_written(&mut self, number: u16) {
        self.subscribed.extend(self.subscribing.pop_front().map(|filter| (number, filter)));
    }

    /// Returns the filter to which the broker has answered.
    pub(super) fn subscription_answered(&mut self, number: u16) -> Option<String> {
        let index = self.subscribed.iter().position(|(known, _)| *known == number)?;
        Some(self.subscribed.swap_remove(index).1)
    }

    /// Number of waiting messages that are not only for this connection.
    pub(super) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    fn under_way(&self) -> usize {
        let messages = self.taken.len() + self.unacknowledged.len();
        messages + self.subscribing.len() + self.subscribed.len()
    }

    /// Returns whether every message has come to the end of its way.
    pub(super) fn is_empty(&self) -> bool {
        self.introduction.is_empty()
            && self.waiting.is_empty()
            && self.taken.is_empty()
            && self.unacknowledged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Message {
        Message::lasting(number.to_string(), "")
    }

    fn announcement(number: usize) -> Message {
        Message::lasting(format!("ha/{number}"), "")
    }

    /// The topics of all steps that may go now.
    fn topics(queue: &mut MessageQueue, now: Instant) -> Vec<String> {
        let mut topics = Vec::new();
        while let Some(step) = queue.next(now) {
            topics.push(step.topic().to_owned());
            queue.hand_over(now);
        }
        topics
    }

    #[test]
    fn an_introduction_goes_first() {
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
    fn a_broken_connection_gives_messages_back_in_order() {
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
        assert_eq!(queue.lost(false), None);
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

    #[test]
    fn a_message_alone_under_way_twice_is_to_blame() {
        let (mut queue, now) = (MessageQueue::default(), Instant::now());
        queue.introduce((0..3).map(announcement));
        assert_eq!(topics(&mut queue, now).len(), 3);
        for number in 1..=3 {
            queue.written(number);
        }
        queue.acknowledged(1);
        assert_eq!(queue.lost(true), None, "it may be 1 or 2");

        queue.introduce((0..3).map(announcement));
        assert_eq!(topics(&mut queue, now), ["ha/0"], "one at a time");
        queue.written(1);
        queue.acknowledged(1);
        assert_eq!(topics(&mut queue, now), ["ha/1"]);
        queue.written(2);
        let culprit = queue.lost(true).unwrap();
        assert_eq!(culprit, Step::Publish(announcement(1)));
        assert_eq!(queue.leave_out(&culprit, Some("ha")), Some(false));

        queue.introduce((0..3).map(announcement));
        assert_eq!(topics(&mut queue, now), ["ha/0"]);
        queue.written(1);
        queue.acknowledged(1);
        assert_eq!(topics(&mut queue, now), ["ha/2"]);
        queue.forgive();
        queue.lost(false);
        queue.introduce((0..3).map(announcement));
        assert_eq!(topics(&mut queue, now), ["ha/0", "ha/1", "ha/2"], "the broker was away");
    }

    #[test]
    fn a_value_is_never_left_out() {
        let mut queue = MessageQueue::default();
        for prefix in [Some("ha"), None] {
            assert_eq!(queue.leave_out(&message(1).into(), prefix), None);
        }
        let large = Message::lasting("1".to_owned(), "x".repeat(SMALL));
        assert_eq!(queue.leave_out(&large.into(), Some("ha")), Some(false));
    }

    #[test]
    fn no_message_is_blamed_for_random_breaks() {
        let (mut queue, now) = (MessageQueue::default(), Instant::now());
        for (run, number) in [(true, 0), (true, 1), (true, 2), (false, 2), (true, 2)] {
            queue.introduce([message(number)]);
            assert_eq!(topics(&mut queue, now).len(), 1);
            assert_eq!(queue.lost(run), None);
        }
    }
}
