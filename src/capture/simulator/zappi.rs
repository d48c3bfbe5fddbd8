//! A zappi on a circuit of its own: it charges a car from what the roof gives, and at night at full
//! power. The eddis do not notice: their circuits are others.

use energi_decoders::MacAddress;

use super::STEP;
use super::day::Day;
use super::load::Load;
use super::random::Random;
use super::schedule::Schedule;

const HOUR: i32 = 3600;

/// The least and the most that it charges with, in W.
const LEAST: i32 = 1380;
const MOST: i32 = 7360;

/// Modes, as the status word has them.
const STOP: u8 = 0;
const FAST: u8 = 1;
const ECO: u8 = 2;

/// State and measurements of a zappi at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZappiState {
    pub(super) serial: u32,
    pub(super) mac: MacAddress,
    /// Power from the grid, in W; negative to the grid.
    pub(super) grid: i32,
    pub(super) generation: i32,
    /// Into the car, in W.
    pub(super) charge: i32,
    /// Energy of this session, in 0.01 kWh.
    pub(super) session: u16,
    pub(super) mode: u8,
    /// Voltage in 0.1 V.
    pub(super) voltage: i32,
    /// Frequency in 0.01 Hz.
    pub(super) frequency: i32,
}

#[derive(Debug)]
pub(super) struct Zappi {
    pub(super) state: ZappiState,
    random: Random,
    roof: f64,
    load: Load,
    /// The car is there.
    plugged: Schedule,
    fast: Schedule,
    was_plugged: bool,
    /// Energy of this session, in J.
    energy: u64,
}

impl Zappi {
    pub(super) fn new(index: u32, mut random: Random, load: Load) -> Self {
        let serial = 16_042_300_u32.wrapping_add(index.wrapping_mul(1013));
        let [_, address @ ..] = serial.to_be_bytes();
        Self {
            state: ZappiState {
                serial,
                mac: MacAddress([0x70, 0xb3, 0xd5, address[0], address[1], address[2]]),
                grid: 0,
                generation: 0,
                charge: 0,
                session: 0,
                mode: STOP,
                voltage: 2400,
                frequency: 5000,
            },
            roof: f64::from(random.between(4000, 6000)),
            random,
            load,
            plugged: Schedule::default(),
            fast: Schedule::default(),
            was_plugged: false,
            energy: 0,
        }
    }

    /// Plans the day: a few hours at home around noon, and an hour of fast charging in the evening.
    pub(super) fn begin_local_day(&mut self, day: &Day) {
        self.load.begin_day(day);
        let mut at = |least, greatest| day.begins + i64::from(self.random.between(least, greatest));
        let (noon, evening) = (at(9 * HOUR, 11 * HOUR), at(18 * HOUR, 20 * HOUR));
        self.plugged.add(noon, 5 * HOUR, 1);
        self.plugged.add(evening, 3 * HOUR, 1);
        self.fast.add(evening + i64::from(HOUR / 2), HOUR, 1);
    }

    /// Two seconds under this light, at this frequency of the mains.
    pub(super) fn step(&mut self, now: i64, light: f64, frequency: i32, voltage: i32) {
        let load = self.load.power(now);
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        let generation = (self.roof * light).round() as i32;
        let plugged = self.plugged.is_on(now);
        if plugged && !self.was_plugged {
            self.energy = 0;
        }
        self.was_plugged = plugged;
        let mode = match (plugged, self.fast.is_on(now)) {
            (false, _) => STOP,
            (true, true) => FAST,
            (true, false) => ECO,
        };
        let surplus = (generation - load).min(MOST);
        let charge = match mode {
            FAST => MOST,
            ECO if surplus >= LEAST => surplus,
            _ => 0,
        };
        self.energy += u64::from(charge.unsigned_abs()) * u64::from(STEP);
        self.state = ZappiState {
            grid: load + charge - generation,
            generation,
            charge,
            session: u16::try_from(self.energy / 36_000).unwrap_or(u16::MAX),
            mode,
            voltage,
            frequency,
            ..self.state
        };
    }
}
