//! Bytes that mean nothing.

use super::{LENGTH, household};
use crate::capture::simulator::Household;

/// Numbers that look random and are always the same (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Number from 0 up to, but not including, 1.
    #[expect(clippy::cast_precision_loss)]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around 0, nearly normal, with a standard deviation of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Seconds from one record to the next.
const STEP: f64 = 12.0;

const DAY: f64 = 86_400.0;

/// Behaviour of a number that means nothing.
#[derive(Debug, Clone, Copy)]
enum Habit {
    White,
    Walk,
    /// Noise with a memory of minutes.
    Slow,
    Counter,
    /// The seconds, or the minutes, of the day.
    Clock,
    /// The shape of the day, smooth or with noise upon it.
    Sine,
    /// Switches on and off, as a thermostat's clock has it.
    Square,
    /// One bit that switches now and then.
    Switch,
    /// Levels, held for some minutes.
    Levels,
    /// Zero, but for some restless minutes by day.
    Bursts,
    Constant,
    /// The power of a house far away, under another sky, or the energy that it diverts.
    House,
}

const HABITS: [Habit; 12] = [
    Habit::White,
    Habit::Walk,
    Habit::Slow,
    Habit::Counter,
    Habit::Clock,
    Habit::Sine,
    Habit::Square,
    Habit::Switch,
    Habit::Levels,
    Habit::Bursts,
    Habit::Constant,
    Habit::House,
];

/// A number with its habit.
#[derive(Debug)]
struct Word {
    habit: Habit,
    level: f64,
    /// Number from 0 to 1 that tells it from others of the same habit.
    own: f64,
    /// End of a state, in s.
    until: f64,
}

/// Bytes that mean nothing, each place in a way of its own.
pub(super) struct Noise {
    random: Random,
    /// Time in s.
    time: f64,
    /// Somebody else's.
    household: Household,
    words: Vec<Word>,
}

impl Noise {
    pub(super) fn new(seed: u64, words: usize) -> Self {
        let mut random = Random::new(seed);
        let mut word = || {
            let habit = HABITS[usize::try_from(random.below(HABITS.len() as u64)).unwrap()];
            Word { habit, level: 0.0, own: random.unit(), until: 0.0 }
        };
        let words = (0..words).map(|_| word()).collect();
        Self { random, time: 0.0, household: household(seed + 1000, &[(LENGTH, 12)]), words }
    }

    /// Fills a body word by word.
    pub(super) fn fill(&mut self, body: &mut [u8]) {
        self.time += STEP;
        self.household.next_frame();
        for (bytes, word) in body.chunks_exact_mut(2).zip(&mut self.words) {
            word.step(self.time, &mut self.random, &self.household);
            #[expect(clippy::cast_possible_truncation)]
            let level = word.level.floor() as i64;
            bytes.copy_from_slice(&level.to_le_bytes()[..2]);
        }
    }
}

impl Word {
    fn step(&mut self, time: f64, random: &mut Random, household: &Household) {
        let Self { level, own, until, .. } = self;
        let turn = |seconds: f64| (time / seconds + *own).fract() * std::f64::consts::TAU;
        let by_day = (0.25..0.85).contains(&(time / DAY).fract());
        let far = household.device(0).unwrap();
        match self.habit {
            Habit::White => *level = random.unit() * 65_536.0,
            Habit::Walk => *level += random.normal() * 20.0,
            Habit::Slow => *level = *level * (0.9 + *own * 0.0999) + random.normal() * 30.0,
            Habit::Counter => *level += 1.0 + (*own * 40.0).floor(),
            Habit::Clock => *level = if *own < 0.5 { time } else { time / 60.0 },
            Habit::Sine => {
                let noise = if *own < 0.5 { 0.0 } else { random.normal() * 10.0 };
                *level = turn(DAY).sin() * 9000.0 * *own + noise;
            }
            Habit::Square => *level = f64::from(turn(60.0 + *own * 1740.0).sin() > 0.0),
            Habit::Switch => {
                if random.unit() < 0.001 + *own * 0.02 {
                    let bit = 1 << random.below(16);
                    #[expect(clippy::cast_possible_truncation)]
                    let switched = *level as i32 ^ bit;
                    *level = f64::from(switched);
                }
            }
            Habit::Levels => {
                if random.unit() < 0.001 + *own * 0.05 {
                    *level = random.unit() * 4000.0;
                }
            }
            Habit::Bursts => {
                if by_day && time > *until + 1800.0 && random.unit() < 0.02 {
                    *until = time + 600.0 + random.unit() * 1200.0;
                }
                *level = if time < *until { 1000.0 + random.normal() * 300.0 } else { 0.0 };
            }
            Habit::Constant => *level = *own * 65_536.0,
            Habit::House if *own < 0.25 => *level = far.grid.into(),
            Habit::House if *own < 0.5 => *level = far.generation.into(),
            Habit::House if *own < 0.75 => *level = far.divert.into(),
            Habit::House => *level = far.counter.into(),
        }
    }
}
