//! Load of a house, without the eddi.

use super::day::Day;
use super::random::Random;
use super::schedule::Schedule;

const MINUTE: i32 = 60;
const HOUR: i32 = 60 * MINUTE;

/// One circuit's appliances.
#[derive(Debug)]
pub(super) struct Load {
    random: Random,
    /// Power that is always on, in W.
    base: i32,
    /// The refrigerator's share of the hour, in s.
    cooling: i64,
    /// A slow wander around `base`, in W.
    wander: i32,
    appliances: Schedule,
}

impl Load {
    pub(super) fn new(mut random: Random) -> Self {
        let (base, cooling) = (random.between(120, 240), random.between(900, 1500).into());
        Self { random, base, cooling, wander: 0, appliances: Schedule::default() }
    }

    pub(super) fn begin_day(&mut self, day: &Day) {
        let cups = self.random.between(4, 8);
        for _ in 0..cups {
            self.switch_on(day, (6 * HOUR, 22 * HOUR), (2 * MINUTE, 4 * MINUTE), (2100, 2900));
        }
        self.switch_on(day, (6 * HOUR, 8 * HOUR), (3 * MINUTE, 6 * MINUTE), (800, 1400));
        self.switch_on(day, (17 * HOUR, 19 * HOUR), (30 * MINUTE, 55 * MINUTE), (1400, 2200));
        self.switch_on(day, (17 * HOUR, 19 * HOUR), (4 * HOUR, 5 * HOUR), (120, 320));
        if self.random.chance(0.6) {
            let start = self.random.between(9 * HOUR, 15 * HOUR);
            self.switch_on(day, (start, start), (18 * MINUTE, 28 * MINUTE), (1700, 2100));
            self.switch_on(day, (start, start), (60 * MINUTE, 90 * MINUTE), (150, 300));
        }
        if self.random.chance(0.6) {
            self.switch_on(day, (20 * HOUR, 22 * HOUR), (15 * MINUTE, 25 * MINUTE), (1700, 2000));
        }
    }

    /// Plans one use of an appliance: when (seconds of the day), how long and at what power.
    fn switch_on(&mut self, day: &Day, when: (i32, i32), seconds: (i32, i32), watts: (i32, i32)) {
        let begins = day.begins + i64::from(self.random.between(when.0, when.1));
        let seconds = self.random.between(seconds.0, seconds.1);
        self.appliances.add(begins, seconds, self.random.between(watts.0, watts.1));
    }

    /// The power from `now` for the next two seconds, in W.
    pub(super) fn power(&mut self, now: i64) -> i32 {
        self.wander += self.random.between(-3, 3) - self.wander / 32;
        let cooling = if now.rem_euclid(3600) < self.cooling { 85 } else { 0 };
        (self.base + self.wander + cooling + self.appliances.level(now)).max(40)
    }
}
