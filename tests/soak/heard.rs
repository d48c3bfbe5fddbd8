//! Lines that the gateway has printed, and those that the broker's listener has yet to hear.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use support::mosquitto::Heard;

/// The key of the counter of diverted energy.
const COUNTER: &str = "diverted_kWh";

/// The reader of standard output, whichever gateway writes it.
#[derive(Clone, Default)]
pub(crate) struct Printed {
    lines: Arc<Mutex<Lines>>,
    /// `true` while its reader has better things to do.
    pub(crate) unread: Arc<AtomicBool>,
}

/// Lines that were printed since they were taken last. What a gateway prints again after a kill
/// counts once.
#[derive(Default)]
pub(crate) struct Lines {
    /// Times of the captures of readings, in microseconds, by their length byte.
    pub(crate) readings: BTreeMap<u8, Vec<i64>>,
    count: usize,
    newest: i64,
    /// The values that a subscriber has yet to hear, by topic, the oldest first.
    due: BTreeMap<String, VecDeque<String>>,
    /// Number of values of the counter that this stage has printed.
    counted: usize,
}

impl Printed {
    /// Reads what another gateway prints, until it ends.
    pub(crate) fn follow(&self, output: ChildStdout) -> JoinHandle<()> {
        let own = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                while own.unread.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                // A kill may leave half a line.
                if let Ok(line) = serde_json::from_str(&line) {
                    own.lines().take(&line);
                }
            }
        })
    }

    pub(crate) fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap()
    }
}

impl Lines {
    fn take(&mut self, line: &Value) {
        let time: Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        let time = time.as_microsecond();
        if time <= self.newest {
            return;
        }
        (self.newest, self.count) = (time, self.count + 1);
        let packet = line["packet"].as_str().unwrap().trim_start_matches("0x");
        let packet = u8::from_str_radix(packet, 16).unwrap();
        self.readings.entry(packet).or_default().push(time);
        let serial = &line["serial"];
        for (key, value) in line["fields"].as_object().unwrap() {
            let payload = match value {
                Value::Bool(flag) => u8::from(*flag).to_string(),
                number => number.to_string(),
            };
            self.counted += usize::from(key == COUNTER);
            self.due.entry(format!("myenergi/{serial}/{key}")).or_default().push_back(payload);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Forgets what was printed, but for what is yet to be received.
    pub(crate) fn next_stage(&mut self) -> BTreeMap<u8, Vec<i64>> {
        (self.count, self.counted) = (0, 0);
        std::mem::take(&mut self.readings)
    }

    /// Crosses off what a subscriber received. What is sent again after a break counts once.
    pub(crate) fn hears(&mut self, heard: &[Heard]) {
        for Heard { topic, payload, .. } in heard {
            if let Some(due) = self.due.get_mut(topic)
                && due.front() == Some(payload)
            {
                due.pop_front();
            }
        }
    }

    /// Makes ready for a gateway that is fed this stage from its start. The gate of that gateway
    /// withholds the first value of the counter, so a subscriber hears the value from the gateway
    /// before or never.
    pub(crate) fn restarts(&mut self) {
        for (topic, due) in &mut self.due {
            if topic.ends_with(COUNTER) && due.len() == self.counted {
                due.pop_front();
            }
        }
    }

    /// Returns how many values a subscriber has yet to hear, and the topic with most of them.
    pub(crate) fn unheard(&self) -> (usize, Option<&str>) {
        let most = self.due.iter().max_by_key(|(_, due)| due.len());
        let topic = most.map(|(topic, _)| topic.as_str());
        (self.due.values().map(VecDeque::len).sum(), topic)
    }
}
