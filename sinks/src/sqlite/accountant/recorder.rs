//! Which readings become stored points: rules 2 and 3.

use energi_decoders::counter::{CounterFilter, CounterPoint, Judgement, MAX_ENERGY, WattHours};
use jiff::Timestamp;

/// An unchanged counter is stored once in each slot of so many seconds: every 5 minutes. Slots
/// are those of the clock, so that a capture replayed from another point stores the same.
const SLOT: i64 = 300;

/// Takes one device's counter readings in the order of their arrival, and gives the points to
/// store. Its state is never stored: after a start everything has to prove itself anew.
#[derive(Debug, Clone)]
pub struct Recorder {
    filter: CounterFilter,
    /// The newest accepted reading.
    accepted: Option<CounterPoint>,
    /// The newest point given out.
    stored: Option<CounterPoint>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// A recorder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { filter: CounterFilter::accounting(), accepted: None, stored: None }
    }

    /// Offers the next reading, and gives the points to store: every change of an accepted
    /// counter, one in 5 minutes without a change, and the last reading before a jump, so that a
    /// border is as narrow as the readings allow.
    ///
    /// A reading outside the counter's range is passed over: where the quality gate is off, it
    /// comes here.
    pub fn offer(&mut self, reading: CounterPoint) -> impl Iterator<Item = CounterPoint> + use<> {
        let (before, accepted, proven) = match self.judge(reading) {
            Judgement::Withheld => (None, None, Vec::new()),
            Judgement::Accepted => (None, Some(reading), Vec::new()),
            Judgement::Proven(points) => (self.accepted, None, points),
        };
        self.accepted = proven.last().copied().or(accepted).or(self.accepted);
        let before = before.filter(|point| self.stored != Some(*point));
        let accepted = accepted.filter(|point| self.is_news(*point));
        self.stored = proven.last().copied().or(accepted).or(self.stored);
        before.into_iter().chain(accepted).chain(proven)
    }

    fn judge(&mut self, reading: CounterPoint) -> Judgement {
        if (WattHours(0)..=MAX_ENERGY).contains(&reading.energy) {
            self.filter.judge(reading)
        } else {
            Judgement::Withheld
        }
    }

    fn is_news(&self, point: CounterPoint) -> bool {
        let slot = |time: Timestamp| time.as_second().div_euclid(SLOT);
        self.stored.is_none_or(|stored| {
            stored.energy != point.energy || slot(stored.time) != slot(point.time)
        })
    }
}
