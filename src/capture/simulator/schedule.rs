//! Events that last for a while and add up: appliances, showers, boosts.

/// Spans of time, each with a weight.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    events: Vec<Event>,
    level: i32,
    /// End of `level`.
    until: i64,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    begins: i64,
    ends: i64,
    weight: i32,
}

impl Schedule {
    /// Adds a span of `seconds`.
    pub(super) fn add(&mut self, begins: i64, seconds: i32, weight: i32) {
        self.events.push(Event { begins, ends: begins.saturating_add(seconds.into()), weight });
        self.until = i64::MIN;
    }

    /// The sum of what is on; `now` never goes backward.
    pub(super) fn level(&mut self, now: i64) -> i32 {
        if now >= self.until {
            self.events.retain(|event| event.ends > now);
            self.level = 0;
            self.until = i64::MAX;
            for event in &self.events {
                if event.begins <= now {
                    self.level += event.weight;
                    self.until = self.until.min(event.ends);
                } else {
                    self.until = self.until.min(event.begins);
                }
            }
        }
        self.level
    }

    pub(super) fn is_on(&mut self, now: i64) -> bool {
        self.level(now) > 0
    }
}
