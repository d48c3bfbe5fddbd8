//! One device: its newest values, and which of them are to be published.

use std::fmt::Write;
use std::sync::Arc;

use energi_decoders::{Reading, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::config::{MqttConfig, ProblemsConfig};
use super::energy;
use super::message::{Message, QoS};
use super::problems::{self, ExportWatch, HeaterState};
use super::throttle::{Change, Reported, Rule, Throttle};
use super::topics::Topics;
use crate::eddi_state::EddiState;
use crate::energy::TodaysFlows;
use crate::sink::Context;

/// Rules that all devices have in common.
#[derive(Debug)]
pub struct PublishPlan {
    topics: Topics,
    /// The keys that may come, in the order in which JSON gives them, and the rule for each.
    keys: Vec<(Arc<str>, Rule)>,
    general: Rule,
    qos: QoS,
    retain: bool,
    /// Records whether all values are published as one JSON object too.
    state: bool,
    problems: Option<ProblemsConfig>,
    timezone: TimeZone,
}

impl PublishPlan {
    /// Rules by a sink's configuration and the decoders that are on.
    #[must_use]
    pub fn new(config: &MqttConfig, context: &Context) -> Self {
        let mut keys: Vec<(Arc<str>, Rule)> = Vec::new();
        for field in context.layouts.iter().flat_map(|layout| layout.fields.iter()) {
            if keys.iter().all(|(key, _)| **key != *field.key()) {
                keys.push((field.key().into(), Rule::of(field.key(), config)));
            }
        }
        let problems = config.problems.as_ref().map(|_| problems::NOT_DIVERTING);
        for key in energy::KEYS.into_iter().chain(problems) {
            keys.push((key.into(), Rule::of(key, config)));
        }
        Self {
            problems: config.problems.clone(),
            timezone: context.timezone.clone(),
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

/// Key of a flag that is set while the water is hot, where a decoder has one.
const HOT: &str = "eddi/hot";

/// A device that was received.
#[derive(Debug)]
pub struct DeviceState {
    number: u32,
    plan: Arc<PublishPlan>,
    /// Capture time of the newest reading.
    time: Option<Timestamp>,
    serial: Slot<Value>,
    slots: Vec<(Arc<str>, Slot<Value>)>,
    status: Slot<EddiState>,
    state_topic: String,
    state_throttle: Throttle<Snapshot>,
    energy: TodaysFlows,
    watch: Option<ExportWatch>,
    /// Records whether the device is silent, where that is published.
    silent: Option<bool>,
}

/// One value of a device, and its topic.
#[derive(Debug)]
struct Slot<T> {
    rule: Rule,
    topic: String,
    payload: fn(T) -> String,
    newest: Option<T>,
    throttle: Throttle<T>,
}

impl<T: Reported> Slot<T> {
    fn new(topic: String, rule: Rule, payload: fn(T) -> String) -> Self {
        Self { rule, topic, payload, newest: None, throttle: Throttle::default() }
    }

    /// Takes a new value, which [`due`](Self::due) sends when the time has come.
    fn hold(&mut self, value: T) {
        self.newest = Some(value);
        self.throttle.hold(value);
    }

    /// Returns the message with the held value, if the time has come to send it.
    fn due(&mut self, at: Option<Timestamp>, plan: &PublishPlan) -> Option<Message> {
        self.throttle.due(at, &self.rule).map(|value| self.message(value, plan))
    }

    /// Returns the message that is still held back and says something new.
    fn last(&mut self, plan: &PublishPlan) -> Option<Message> {
        self.throttle.last().map(|value| self.message(value, plan))
    }

    /// Returns the message with the newest value.
    fn current(&self, plan: &PublishPlan) -> Option<Message> {
        self.newest.map(|value| self.message(value, plan))
    }

    fn message(&self, value: T, plan: &PublishPlan) -> Message {
        plan.message(&self.topic, (self.payload)(value))
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
    /// A device without any values yet.
    #[must_use]
    pub fn new(serial: u32, plan: &Arc<PublishPlan>) -> Self {
        let topics = &plan.topics;
        let slots = plan.keys.iter().map(|(key, rule)| {
            (Arc::clone(key), Slot::new(topics.value(serial, key), *rule, payload))
        });
        Self {
            number: serial,
            serial: Slot::new(topics.serial(serial), plan.general, payload),
            slots: slots.collect(),
            time: None,
            status: Slot::new(topics.status(serial), plan.general, |status: EddiState| {
                status.word().to_owned()
            }),
            state_topic: topics.state(serial),
            state_throttle: Throttle::default(),
            energy: TodaysFlows::new(plan.timezone.clone()),
            watch: plan.problems.as_ref().map(ExportWatch::new),
            silent: plan.problems.as_ref().map(|_| true),
            plan: Arc::clone(plan),
        }
    }

    /// Takes a reading, and adds the messages that are to be sent now.
    pub fn take(&mut self, reading: &Reading, messages: &mut Vec<Message>) {
        self.time = reading.time;
        let at = reading.time;
        self.serial.hold(Value::Integer(reading.serial.into()));
        for (field, value) in reading.fields() {
            // Every key of a reading is in the plan: both come from the same decoders.
            self.hold(field.key(), value);
        }
        if reading.fields().any(|(field, _)| EddiState::INPUTS.contains(&field.key())) {
            self.status.newest = EddiState::of(|key| self.newest(key));
            if let Some(status) = self.status.newest {
                self.status.hold(status);
            }
        }
        self.sum_up(reading, messages);
        self.watch(reading);
        // A value that comes too early goes at the device's next reading past the interval, of
        // whatever kind.
        messages.extend(self.serial.due(at, &self.plan));
        messages.extend(self.slots.iter_mut().filter_map(|(_, slot)| slot.due(at, &self.plan)));
        messages.extend(self.status.due(at, &self.plan));
        if self.plan.state
            && self.state_throttle.offer(self.snapshot(), at, &self.plan.general).is_some()
        {
            messages.push(self.state_message());
        }
    }

    fn hold(&mut self, key: &str, value: Value) {
        if let Some((_, slot)) = self.slots.iter_mut().find(|(known, _)| **known == *key) {
            slot.hold(value);
        }
    }

    fn sum_up(&mut self, reading: &Reading, messages: &mut Vec<Message>) {
        let (date, before) = (self.energy.date(), self.energy.kwh());
        if !self.energy.add(reading) {
            return;
        }
        if self.energy.date() != date {
            // The last values of a day go at once, or those of the next would replace them.
            for (key, value) in energy::values(before) {
                messages.push(self.plan.message(&self.topic(key), payload(value)));
            }
        }
        for (key, value) in energy::values(self.energy.kwh()) {
            self.hold(key, value);
        }
    }

    fn watch(&mut self, reading: &Reading) {
        let (Some(time), Some(grid)) = (reading.time, reading.get("grid_pwr")) else { return };
        let Some(status) = self.status.newest else { return };
        let is_hot = self.newest(HOT) == Some(Value::Flag(true));
        if let Some(watch) = &mut self.watch {
            let idle = status == EddiState::Paused && !is_hot;
            let problem = watch.take(time, HeaterState { grid: grid.as_f64(), idle });
            self.hold(problems::NOT_DIVERTING, Value::Flag(problem));
        }
    }

    /// Notes whether the device is silent, and adds what follows.
    pub(super) fn set_silent(&mut self, silent: bool, messages: &mut Vec<Message>) {
        if let Some(known) = &mut self.silent {
            *known = silent;
            messages.extend(self.silent_message());
        }
    }

    fn silent_message(&self) -> Option<Message> {
        let silent = Value::Flag(self.silent?);
        Some(self.plan.message(&self.topic(problems::SILENT), payload(silent)))
    }

    fn topic(&self, key: &str) -> String {
        self.plan.topics.value(self.number, key)
    }

    /// Adds what is still held back and says something new.
    pub(super) fn finish(&mut self, messages: &mut Vec<Message>) {
        messages.extend(self.slots.iter_mut().filter_map(|(_, slot)| slot.last(&self.plan)));
        messages.extend(self.status.last(&self.plan));
        if self.state_throttle.last().is_some() {
            messages.push(self.state_message());
        }
    }

    /// Adds everything that is known of the device.
    pub(super) fn current(&self, messages: &mut Vec<Message>) {
        messages.extend(self.serial.current(&self.plan));
        messages.extend(self.slots.iter().filter_map(|(_, slot)| slot.current(&self.plan)));
        messages.extend(self.status.current(&self.plan));
        messages.extend(self.silent_message());
        if self.plan.state {
            messages.push(self.state_message());
        }
    }

    fn newest(&self, key: &str) -> Option<Value> {
        self.slots.iter().find(|(known, _)| **known == *key)?.1.newest
    }

    fn snapshot(&self) -> Snapshot {
        let flags = self.slots.iter().filter_map(|(_, slot)| match slot.newest {
            Some(Value::Flag(flag)) => Some((1, u128::from(flag))),
            Some(Value::Choice(choice)) => Some((4, choice.index() as u128)),
            _ => None,
        });
        // One that is received for the first time moves the others, and is a change as well.
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
        for (key, slot) in &self.slots {
            if let Some(value) = slot.newest {
                // Writing to a string does not fail. Keys need no escaping; see `Json`.
                let _ = write!(json, r#","{key}":{}"#, value.quoted());
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
