//! Selection of readings that become stored points: rules 2 and 3.

use energi_decoders::counter::{CounterFilter, CounterPoint, Judgement, MAX_ENERGY, WattHours};
use jiff::{SignedDuration, Timestamp};

/// An unchanged counter is stored once in each slot of so many seconds: every 5 minutes. Slots
/// are those of the clock, so that a capture replayed from another point stores the same.
const SLOT: i64 = 300;

/// Takes one device's counter readings in the order of their arrival, and gives the points to
/// store. Its state is never stored: after a start everything has to prove itself again.
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

/// Returns how long before `time` its slot began. A counter that stands and is believed all the
/// while has its point there.
pub(super) fn since_slot(time: Timestamp) -> SignedDuration {
    SignedDuration::from_secs(time.as_second().rem_euclid(SLOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading of `energy` Wh at `seconds`.
    fn at(seconds: i64, energy: i64) -> CounterPoint {
        let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        CounterPoint { time, energy: WattHours(energy) }
    }

    /// Returns what is stored of readings every 12 s, as seconds and Wh.
    fn stored(energies: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
        let mut recorder = Recorder::new();
        (0..)
            .zip(energies)
            .flat_map(|(index, energy)| recorder.offer(at(index * 12, energy)))
            .map(|point| (point.time.as_second(), point.energy.0))
            .collect()
    }

    #[test]
    fn an_unchanged_counter_is_stored_every_5_minutes() {
        let stored = stored((0..150).map(|index| if index < 75 { 5_000 } else { 5_010 }));
        let expected =
            [(0, 5_000), (60, 5_000), (300, 5_000), (600, 5_000), (900, 5_010), (1_200, 5_010)];
        assert_eq!(stored[..6], expected);
        assert_eq!(stored.len(), 7);
    }

    #[test]
    fn a_recorder_gives_the_last_reading_before_a_fall() {
        let stored = stored((0..30).map(|index| if index < 20 { 5_000 } else { 0 }));
        let fall = stored.iter().position(|(_, energy)| *energy == 0).unwrap();
        let gap = stored[fall].0 - stored[fall - 1].0;
        assert!(gap <= 13, "{gap} s");
    }

    #[test]
    fn a_recorder_passes_over_what_no_counter_shows() {
        assert_eq!(stored((0..20).map(|_| 90_010)), []);
    }
}
