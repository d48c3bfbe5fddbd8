//! Items with a place in time, for the sinks that keep them by it.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::clock::released;
use crate::item::Item;
use crate::sink::Context;

/// No capture is older than this, 1970-01-02 ...
const FIRST: Timestamp = Timestamp::constant(86_400, 0);

/// ... or newer than this, 9000-01-01. Local dates lie safely inside what a calendar holds.
const LAST: Timestamp = Timestamp::constant(221_845_392_000, 0);

/// Passes items over that have none, counts them, and says so once.
#[derive(Debug)]
pub(crate) struct TimestampFilter {
    sink: String,
    live: bool,
    timeless: Count,
    early: Count,
}

#[derive(Debug, Default)]
struct Count {
    now: u64,
    /// True if the log has said it, and not yet that it is over.
    said: bool,
}

impl TimestampFilter {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            sink: context.name.clone(),
            live: context.live,
            timeless: Count::default(),
            early: Count::default(),
        }
    }

    /// The items of `batch` that have a place in time.
    pub(crate) fn admit<T: Item>(&mut self, batch: &[Arc<T>]) -> Arc<[Arc<T>]> {
        batch.iter().filter(|item| self.is_admitted(item.time())).map(Arc::clone).collect()
    }

    fn is_admitted(&mut self, time: Option<Timestamp>) -> bool {
        match time {
            // First of all: such a clock may show a time that no capture can have.
            Some(time) if self.live && time < released() => self.pass_over_early(time),
            Some(time) if !(FIRST..LAST).contains(&time) => self.pass_over_timeless(),
            None => self.pass_over_timeless(),
            Some(_) => {
                self.end_early();
                true
            }
        }
    }

    fn pass_over_timeless(&mut self) -> bool {
        self.timeless.now += 1;
        if !std::mem::replace(&mut self.timeless.said, true) {
            warn!(
                sink = self.sink,
                "readings without a time, or with an impossible time, are not stored"
            );
        }
        false
    }

    fn pass_over_early(&mut self, time: Timestamp) -> bool {
        self.early.now += 1;
        if !std::mem::replace(&mut self.early.said, true) {
            warn!(
                sink = self.sink,
                "the clock shows {time:.0}, which is before this release was built ({:.0}): nothing \
                 is stored until the clock is right",
                released()
            );
        }
        false
    }

    fn end_early(&mut self) {
        if std::mem::replace(&mut self.early.said, false) {
            let skipped = std::mem::take(&mut self.early.now);
            info!(sink = self.sink, skipped, "the clock is right: readings are stored");
        }
    }

    /// Says how many readings were passed over since it was last said.
    pub(crate) fn close(&mut self) {
        let (timeless, early) = (self.timeless.now, self.early.now);
        if timeless + early > 0 {
            warn!(
                sink = self.sink,
                without_a_time = timeless,
                with_a_wrong_clock = early,
                "readings that were not stored"
            );
        }
        (self.timeless.now, self.early.now) = (0, 0);
    }
}
