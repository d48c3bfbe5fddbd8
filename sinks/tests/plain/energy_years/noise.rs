//! Noise of a counter's readings: 2 % transient zeros and 1 % wild values.

use super::household::Shown;
use support::rng::Rng;

/// A source of bad values.
#[derive(Debug)]
pub(crate) struct Noise {
    rng: Rng,
    /// A wild value that stays for so many more readings.
    stuck: Option<(i64, u32)>,
    last: Shown,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng(seed), stuck: None, last: (0, 0) }
    }

    /// Returns what is received where the device says `shown`.
    pub(crate) fn receive(&mut self, shown: Shown) -> Shown {
        let (time, truth) = shown;
        let elapsed = (time - self.last.0).clamp(0, 300_000);
        self.last = shown;
        if let Some((value, left)) = self.stuck.take() {
            if left > 1 {
                self.stuck = Some((value, left - 1));
            }
            return (time, value);
        }
        let chance = self.rng.within(0..1_000);
        let received = match chance {
            0..20 => 0,
            20..23 => self.rng.within(0..9_001),
            23..25 => self.rng.within(0..65_536),
            // Plausible: no more than a counter could have risen since the last reading.
            25..28 => truth + self.rng.within(1..3 + elapsed * 42 / 360_000 / 10),
            28..30 => truth + self.rng.within(-50..50),
            _ => return shown,
        }
        .max(0);
        if self.rng.one_in(40) {
            self.stuck = Some((received, u32::try_from(self.rng.within(1..5)).unwrap_or(1)));
        }
        (time, received)
    }
}
