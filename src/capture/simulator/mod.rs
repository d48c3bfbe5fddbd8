//! A plausible household with an eddi, and if wanted a zappi and harvis: sun and clouds, what the
//! house draws, what the eddi diverts, and the frames that are sent, with the oddities of real ones.
//!
//! The same settings give the same frames on every machine: whole numbers wherever they do, and no
//! function of the mathematics library, whose last digits differ.

mod day;
mod eddi;
mod frames;
mod household;
mod load;
mod random;
mod schedule;
mod settings;
mod solar;
mod tank;
mod timetable;
pub mod truth;
mod zappi;

use jiff::Timestamp;

pub use self::eddi::EddiSnapshot;
pub use self::household::Household;
pub use self::settings::{EDDI, Oddities, Rate, Restart, Settings};
use super::pacer::Pacer;
use super::{CaptureError, Event, Link, Packet, Source};
use crate::capture::Speed;

/// Seconds from one state of the house to the next: powers hold for as long.
const STEP: u32 = 2;

/// A source of simulated frames.
#[derive(Debug)]
pub struct SimulatorSource {
    household: Household,
    pacer: Pacer,
    /// Time when the frame that waits is due.
    held: Option<Timestamp>,
}

impl SimulatorSource {
    /// A household whose time passes at `speed`.
    #[must_use]
    pub fn new(settings: Settings, speed: Speed) -> Self {
        Self { household: Household::new(settings), pacer: Pacer::new(speed), held: None }
    }

    /// The house itself, for its truth.
    #[must_use]
    pub fn household(&self) -> &Household {
        &self.household
    }
}

impl Source for SimulatorSource {
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        let Some(time) = self.held.take().or_else(|| self.household.advance()) else {
            return Ok(Event::End);
        };
        if !self.pacer.wait(Some(time)) {
            self.held = Some(time);
            return Ok(Event::Idle);
        }
        let bytes = self.household.frame();
        Ok(Event::Packet(Packet::whole(Some(time), Link::Ethernet, bytes)))
    }
}

#[cfg(test)]
mod tests;
