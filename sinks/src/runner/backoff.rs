//! Pauses between attempts: doubling, with jitter, up to a ceiling.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
pub(crate) const CEILING: Duration = Duration::from_mins(1);

/// The waits between tries: about 0.5 s, 1 s, 2 s and so on, to 60 s.
///
/// Each is drawn from the upper half of its step, so that sinks that failed together do not all
/// come back together.
#[derive(Debug)]
pub struct Backoff {
    step: Duration,
    tries: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { step: FIRST, tries: 0 }
    }
}

impl Backoff {
    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(CEILING);
        self.tries += 1;
        step / 2 + Self::jitter(step / 2)
    }

    /// Returns a time by chance, from none to `longest`.
    pub(crate) fn jitter(longest: Duration) -> Duration {
        // Keyed by the operating system, differently for each instance.
        let draw = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or(u32::MAX);
        longest.mul_f64(f64::from(draw) / f64::from(u32::MAX))
    }

    /// Returns how many waits there were since the last success.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.tries
    }

    /// Begins again after a success.
    pub fn reset(&mut self) {
        self.step = FIRST;
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_until_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= CEILING));
        assert!(waits[11] >= CEILING / 2);
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}
