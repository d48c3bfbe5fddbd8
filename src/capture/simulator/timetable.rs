//! Which frame is sent when.

use super::random::Random;
use super::settings::{Rate, Settings};

/// Who sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The eddi of this number.
    Eddi(usize),
    Zappi,
}

#[derive(Debug)]
struct Slot {
    sender: Sender,
    length: u8,
    every: i64,
    /// The second of the next one, from the start.
    next: i64,
    /// Where in the second.
    microsecond: i64,
}

/// A frame to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) sender: Sender,
    pub(super) length: u8,
    /// Seconds from the start.
    pub(super) second: i64,
    pub(super) microsecond: i64,
}

/// All frames in order. Each has its own place in the second, so that no two share a time, and
/// its own second of its period.
#[derive(Debug)]
pub(super) struct Timetable {
    slots: Vec<Slot>,
    second: i64,
    index: usize,
    /// How late a frame may be, in µs.
    lateness: i32,
    random: Random,
}

/// Frames keep clear of the second's ends, so that lateness never moves one into the next.
const MARGIN: i64 = 20_000;
const USED: i64 = 1_000_000 - 2 * MARGIN;

impl Timetable {
    pub(super) fn new(settings: &Settings, mut random: Random) -> Self {
        let eddis = (0..usize::try_from(settings.devices).unwrap_or(usize::MAX))
            .flat_map(|device| settings.rates.iter().map(move |rate| (Sender::Eddi(device), rate)));
        let zappi = settings.zappi.iter().map(|rate| (Sender::Zappi, rate));
        let mut slots: Vec<_> =
            eddis.chain(zappi).map(|(sender, rate)| slot(sender, *rate, &mut random)).collect();
        let spacing = USED / i64::try_from(slots.len()).unwrap_or(i64::MAX).max(1);
        let mut microsecond = MARGIN;
        for slot in &mut slots {
            slot.microsecond = microsecond;
            microsecond += spacing;
        }
        let lateness = i32::try_from(spacing / 2).unwrap_or(i32::MAX).min(1500);
        Self { slots, second: 0, index: 0, lateness, random }
    }

    /// The next frame; `None` where nothing is ever sent.
    pub(super) fn next(&mut self) -> Option<Due> {
        if self.slots.is_empty() {
            return None;
        }
        loop {
            let Some(slot) = self.slots.get_mut(self.index) else {
                self.index = 0;
                self.second += 1;
                continue;
            };
            self.index += 1;
            if slot.next == self.second {
                slot.next += slot.every;
                return Some(Due {
                    sender: slot.sender,
                    length: slot.length,
                    second: self.second,
                    microsecond: slot.microsecond
                        + i64::from(self.random.between(0, self.lateness)),
                });
            }
        }
    }
}

fn slot(sender: Sender, rate: Rate, random: &mut Random) -> Slot {
    let every = i32::try_from(rate.every).unwrap_or(i32::MAX).max(1);
    let next = random.between(0, every - 1).into();
    Slot { sender, length: rate.length, every: every.into(), next, microsecond: 0 }
}
