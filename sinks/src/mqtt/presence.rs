//! Repairs of what somebody else has retained about a device that is received.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Least time between two repairs of a topic.
const APART: Duration = Duration::from_mins(1);

/// Number of repairs of a topic after which another gateway must be at work.
const SUSPICIOUS: u32 = 3;

/// Topics that were contradicted, and when each is published again.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    topics: BTreeMap<String, Repair>,
}

#[derive(Debug, Default)]
struct Repair {
    due: Option<Instant>,
    last: Option<Instant>,
    count: u32,
}

impl Repairs {
    /// Plans to publish a topic again: at once, or a minute after the last time.
    pub(super) fn plan(&mut self, topic: &str, now: Instant) {
        let repair = self.topics.entry(topic.to_owned()).or_default();
        let earliest = repair.last.map_or(now, |last| now.max(last + APART));
        repair.due.get_or_insert(earliest);
    }

    /// Returns when the next topic is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.topics.values().filter_map(|repair| repair.due).min()
    }

    /// Takes the topics that are due, and whether to warn that another gateway uses each.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(String, bool)> {
        let mut due = Vec::new();
        for (topic, repair) in &mut self.topics {
            if repair.due.is_some_and(|at| at <= now) {
                repair.due = None;
                repair.last = Some(now);
                repair.count += 1;
                due.push((topic.clone(), repair.count == SUSPICIOUS));
            }
        }
        due
    }

    /// Drops what is planned: everything is published again by other means.
    pub(super) fn cancel(&mut self) {
        self.topics.values_mut().for_each(|repair| repair.due = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_repair_of_a_topic_is_suspicious() {
        let start = Instant::now();
        let mut repairs = Repairs::default();
        let mut done = Vec::new();
        // It is contradicted every ten seconds.
        for second in (0..150).step_by(10) {
            let now = start + Duration::from_secs(second);
            repairs.plan("a", now);
            for (_, suspicious) in repairs.take(now) {
                done.push((second, suspicious));
            }
        }
        assert_eq!(done, [(0, false), (60, false), (120, true)]);
        repairs.plan("b", start + Duration::from_secs(150));
        assert_eq!(repairs.next(), Some(start + Duration::from_secs(150)), "each for itself");
        repairs.cancel();
        assert_eq!(repairs.next(), None);
    }
}
