//! A tank of water with a heater in it.

use super::{STEP, schedule::Schedule};

/// Temperature around the tank, in °C.
const ROOM: f64 = 18.0;

#[derive(Debug)]
pub(super) struct Tank {
    /// Temperature in °C.
    pub(super) temperature: f64,
    /// Capacity in J/K.
    capacity: f64,
    /// Loss in W/K.
    loss: f64,
    /// Temperature in °C at which the thermostat opens; it closes again 4 K below.
    limit: f64,
    /// The thermostat is open.
    pub(super) hot: bool,
    /// Heat that is drawn, in W.
    pub(super) drawn: Schedule,
}

impl Tank {
    pub(super) fn new(litres: f64, temperature: f64, limit: f64) -> Self {
        Self {
            temperature,
            capacity: litres * 4186.0,
            loss: 2.0,
            limit,
            hot: false,
            drawn: Schedule::default(),
        }
    }

    /// Two seconds with the heater at `watts`.
    pub(super) fn step(&mut self, now: i64, watts: i32) {
        let lost = self.loss * (self.temperature - ROOM);
        // Nothing is drawn from cold water.
        let drawn = if self.temperature > ROOM { self.drawn.level(now) } else { 0 };
        let heat = f64::from(watts - drawn) - lost;
        self.temperature += heat * f64::from(STEP) / self.capacity;
        self.hot = self.temperature >= if self.hot { self.limit - 4.0 } else { self.limit };
    }
}
