//! Times at which frames are sent.

use super::random::Random;
use super::settings::{Rate, Settings};

/// Sender of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The eddi of this number.
    Eddi(usize),
    /// The other device of this number.
    Other(usize),
}

#[derive(Debug)]
struct Slot {
    sender: Sender,
    length: u8,
    every: i64,
    /// The second of the next one, from the start.
    next: i64,
    /// Place in the second.
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
    /// Time of the last frame, in µs from the start.
    last: i64,
    /// Largest delay of a frame, in µs.
    lateness: i32,
    /// Random numbers of the eddis and of the others, whose frames leave those of the eddis as they
    /// are.
    random: [Random; 2],
}

/// Frames keep clear of the second's ends, so that lateness never moves one into the next.
const MARGIN: i64 = 20_000;
const USED: i64 = 1_000_000 - 2 * MARGIN;

impl Timetable {
    pub(super) fn new(settings: &Settings, mut random: [Random; 2]) -> Self {
        let eddis = (0..usize::try_from(settings.devices).unwrap_or(usize::MAX))
            .flat_map(|device| settings.rates.iter().map(move |rate| (Sender::Eddi(device), rate)));
        let others = settings.others.iter().enumerate().flat_map(|(index, product)| {
            Settings::rates_of(*product).iter().map(move |rate| (Sender::Other(index), rate))
        });
        let [own, other] = &mut random;
        let mut slots: Vec<_> = eddis.map(|(sender, rate)| slot(sender, *rate, own)).collect();
        let spacing = place(&mut slots, MARGIN);
        let mut more: Vec<_> = others.map(|(sender, rate)| slot(sender, *rate, other)).collect();
        // Between two of an eddi's: an eddi keeps its times, whatever other devices there are.
        let between = place(&mut more, MARGIN + spacing / 2 + 1);
        slots.append(&mut more);
        slots.sort_by_key(|slot| slot.microsecond);
        let lateness = i32::try_from(spacing.min(between) / 4).unwrap_or(i32::MAX).min(1500);
        Self { slots, second: 0, index: 0, last: -1, lateness, random }
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
                let stream = usize::from(matches!(slot.sender, Sender::Other(_)));
                let late = self.random[stream].between(0, self.lateness);
                let whole = self.second.saturating_mul(1_000_000);
                let time = whole.saturating_add(slot.microsecond + i64::from(late));
                self.last = time.max(self.last.saturating_add(1));
                return Some(Due {
                    sender: slot.sender,
                    length: slot.length,
                    second: self.second,
                    microsecond: self.last - whole,
                });
            }
        }
    }
}

/// Gives each slot its own place in the second, and returns how far apart they are.
fn place(slots: &mut [Slot], first: i64) -> i64 {
    let spacing = USED / i64::try_from(slots.len()).unwrap_or(i64::MAX).max(1);
    for (place, slot) in (0..).zip(slots) {
        slot.microsecond = first + spacing * place;
    }
    spacing
}

fn slot(sender: Sender, rate: Rate, random: &mut Random) -> Slot {
    let every = i32::try_from(rate.every).unwrap_or(i32::MAX).max(1);
    let next = random.between(0, every - 1).into();
    Slot { sender, length: rate.length, every: every.into(), next, microsecond: 0 }
}
