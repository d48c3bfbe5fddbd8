//! One device: its newest values, and which of them are to be published.

use std::fmt::Write;
use std::sync::Arc;

use energi_decoders::{Reading, Value};
use jiff::Timestamp;

use super::config::MqttConfig;
use super::message::{Message, QoS};

use super::throttle::{Change, Reported, Rule, Throttle};
use super::topics::Topics;
use crate::eddi_state::EddiState;
use crate::sink::Context;

/// What all devices have in common.
#[derive(Debug)]
pub struct PublishPlan {
    topics: Topics,
    /// The keys that may come, in the order in which JSON gives them, and what each is held to.
    keys: Vec<(Arc<str>, Rule)>,
    general: Rule,
    qos: QoS,
    retain: bool,
    /// Whether all values are published as one JSON object too.
    state: bool,
}

impl PublishPlan {
    /// What a sink's configuration, and the decoders that are on, ask for.
    #[must_use]
    pub fn new(config: &MqttConfig, context: &Context) -> Self {
        let mut keys: Vec<(Arc<str>, Rule)> = Vec::new();
        for field in context.layouts.iter().flat_map(|layout| layout.fields.iter()) {
            if keys.iter().all(|(key, _)| **key != *field.key()) {
                keys.push((field.key().into(), Rule::of(field.key(), config)));
            }
        }
        Self {
            topics: Topics::new(&config.topic),
            keys,
            general: Rule::general(config),
            qos: config.qos,
            retain: config.retain,
            state: config.state,
        }
    }

    fn message(&self, topic: &str, payload: String) -> Message {
        Message { topic: topic.to_owned(), payload, qos: self.qos, retain: self.retain }
    }
}

/// A device that was heard.
#[derive(Debug)]
pub struct DeviceState {
    plan: Arc<PublishPlan>,
    /// When its newest reading was captured.
    time: Option<Timestamp>,
    serial: Slot,
    slots: Vec<Slot>,
    status: Option<EddiState>,
    status_topic: String,
    status_throttle: Throttle<EddiState>,
    state_topic: String,
    state_throttle: Throttle<Snapshot>,
}

/// One value of a device.
#[derive(Debug)]
struct Slot {
    key: Arc<str>,
    rule: Rule,
    topic: String,
    newest: Option<Value>,
    throttle: Throttle<Value>,
}

impl Slot {
    /// Takes a new value, and adds its message if it is to be sent now.
    fn take(
        &mut self,
        value: Value,
        at: Option<Timestamp>,
        plan: &PublishPlan,
        messages: &mut Vec<Message>,
    ) {
        self.newest = Some(value);
        if let Some(value) = self.throttle.offer(value, at, &self.rule) {
            messages.push(plan.message(&self.topic, payload(value)));
        }
    }
}

/// All values at one time, told apart by the flags among them: the others may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Snapshot {
    flags: u128,
}

impl Reported for Snapshot {
    fn change(&self, sent: &Self, _deadband: f64) -> Change {
        // Its time at least has moved.
        if self == sent { Change::Moved } else { Change::Urgent }
    }
}

impl DeviceState {
    /// A device of which nothing is known yet.
    #[must_use]
    pub fn new(serial: u32, plan: &Arc<PublishPlan>) -> Self {
        let topics = &plan.topics;
        let slot = |key: &Arc<str>, rule, topic| Slot {
            key: Arc::clone(key),
            rule,
            topic,
            newest: None,
            throttle: Throttle::default(),
        };
        Self {
            serial: slot(&"serial".into(), plan.general, topics.serial(serial)),
            slots: plan
                .keys
                .iter()
                .map(|(key, rule)| slot(key, *rule, topics.value(serial, key)))
                .collect(),
            time: None,
            status: None,
            status_topic: topics.status(serial),
            status_throttle: Throttle::default(),
            state_topic: topics.state(serial),
            state_throttle: Throttle::default(),
            plan: Arc::clone(plan),
        }
    }

    /// Takes a reading, and adds the messages that are to be sent now.
    pub fn take(&mut self, reading: &Reading, messages: &mut Vec<Message>) {
        self.time = reading.time;
        let at = reading.time;
        self.serial.take(Value::Integer(reading.serial.into()), at, &self.plan, messages);
        for (field, value) in reading.fields() {
            // Every key of a reading is in the plan: both come from the same decoders.
            if let Some(slot) = self.slots.iter_mut().find(|slot| *slot.key == *field.key()) {
                slot.take(value, at, &self.plan, messages);
            }
        }
        if reading.fields().any(|(field, _)| EddiState::INPUTS.contains(&field.key())) {
            self.status = EddiState::of(|key| self.newest(key));
            if let Some(status) = self.status
                && let Some(status) = self.status_throttle.offer(status, at, &self.plan.general)
            {
                messages.push(self.status_message(status));
            }
        }
        // What was held back goes at the device's next reading past the interval, of whatever kind.
        for slot in &mut self.slots {
            if let Some(value) = slot.throttle.due(at, &slot.rule) {
                messages.push(self.plan.message(&slot.topic, payload(value)));
            }
        }
        if let Some(status) = self.status_throttle.due(at, &self.plan.general) {
            messages.push(self.status_message(status));
        }
        if self.plan.state
            && self.state_throttle.offer(self.snapshot(), at, &self.plan.general).is_some()
        {
            messages.push(self.state_message());
        }
    }

    /// Adds what is still held back and says something new.
    pub(super) fn finish(&mut self, messages: &mut Vec<Message>) {
        for slot in &mut self.slots {
            if let Some(value) = slot.throttle.last() {
                messages.push(self.plan.message(&slot.topic, payload(value)));
            }
        }
        if let Some(status) = self.status_throttle.last() {
            messages.push(self.status_message(status));
        }
        if self.state_throttle.last().is_some() {
            messages.push(self.state_message());
        }
    }

    /// Everything that is known of it, for those who know nothing.
    pub(super) fn current(&self, messages: &mut Vec<Message>) {
        for slot in std::iter::once(&self.serial).chain(&self.slots) {
            if let Some(value) = slot.newest {
                messages.push(self.plan.message(&slot.topic, payload(value)));
            }
        }
        messages.extend(self.status.map(|status| self.status_message(status)));
        if self.plan.state {
            messages.push(self.state_message());
        }
    }

    /// When its newest reading was captured.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    fn newest(&self, key: &str) -> Option<Value> {
        self.slots.iter().find(|slot| *slot.key == *key)?.newest
    }

    fn status_message(&self, status: EddiState) -> Message {
        self.plan.message(&self.status_topic, status.word().to_owned())
    }

    fn snapshot(&self) -> Snapshot {
        let flags = self.slots.iter().filter_map(|slot| match slot.newest {
            Some(Value::Flag(flag)) => Some((1, u128::from(flag))),
            Some(Value::Choice(choice)) => Some((4, choice.index() as u128)),
            _ => None,
        });
        // One that is heard for the first time moves the others, and is a change as well.
        let flags = flags.fold(0, |flags, (bits, flag)| flags << bits | flag);
        Snapshot { flags }
    }

    /// All values with the time of the newest reading. Never retained: who comes later must not
    /// take old values for new ones.
    fn state_message(&self) -> Message {
        let mut json = match self.time {
            Some(time) => format!(r#"{{"time":"{time:.6}""#),
            None => r#"{"time":null"#.to_owned(),
        };
        for slot in &self.slots {
            if let Some(value) = slot.newest {
                // Writing to a string does not fail. Keys need no escaping; see `Json`.
                let _ = write!(json, r#","{}":{}"#, slot.key, value.quoted());
            }
        }
        json.push('}');
        Message { retain: false, ..self.plan.message(&self.state_topic, json) }
    }
}

/// A value as `mqtt-energi` writes it: flags are 1 and 0.
fn payload(value: Value) -> String {
    match value {
        Value::Flag(flag) => u8::from(flag).to_string(),
        number => number.to_string(),
    }
}
