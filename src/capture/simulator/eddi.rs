//! One eddi: it gives to its heaters what would otherwise flow to the grid.

use energi_decoders::MacAddress;

use super::STEP;
use super::day::Day;
use super::load::Load;
use super::random::Random;
use super::schedule::Schedule;
use super::tank::Tank;
use super::truth::Ledger;

const MINUTE: i32 = 60;
const HOUR: i32 = 60 * MINUTE;

/// Power that the eddi leaves to the grid, in W, so that it never draws from it.
const MARGIN: i32 = 20;

/// Silence of a device after a power cut, in s.
const SILENCE: i64 = 20;

/// One step of the daily counter: 0.01 kWh in J.
const COUNTER_STEP: u64 = 36_000;

/// True state and measurements of a device at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EddiSnapshot {
    /// The serial number.
    pub serial: u32,
    /// The hardware address.
    pub mac: MacAddress,
    /// Power from the grid, in W; negative to the grid.
    pub grid: i32,
    /// Power from the sun, in W; a few watts below zero at night.
    pub generation: i32,
    /// Power to the heaters, in W.
    pub divert: i32,
    /// The daily counter, in 0.01 kWh.
    pub counter: u16,
    /// Mains voltage in 0.1 V.
    pub voltage: i32,
    /// Mains frequency in 0.01 Hz.
    pub frequency: i32,
    /// The user stopped it.
    pub stopped: bool,
    /// A timer heats at full power.
    pub boost: bool,
    /// The heater that is switched on, 1 or 2.
    pub heater: Option<u8>,
    /// The first tank is as hot as it may be.
    pub hot: bool,
    /// The rating of the chosen heater, in W; 3600 when none is chosen.
    pub max_power: i32,
    /// Temperature of the first tank, in 0.1 °C.
    pub tank: i32,
    /// Temperature of the heatsink, in 0.1 °C.
    pub heatsink: i32,
    /// Averages of the last whole minute.
    pub minute: MinuteHistory,
}

/// Averages of a minute: powers in W, and what the mains and the heatsink were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinuteHistory {
    /// Power at the grid: positive from it.
    pub grid: Average,
    /// Power of the roof.
    pub generation: Average,
    /// Into the heaters.
    pub divert: Average,
    /// Mains voltage in 0.1 V.
    pub voltage: i32,
    /// Mains frequency in 0.01 Hz.
    pub frequency: i32,
    /// Temperature of the heatsink, in 0.1 °C.
    pub heatsink: i32,
}

impl MinuteHistory {
    fn over(&self, count: i32) -> Self {
        Self {
            grid: self.grid.over(count),
            generation: self.generation.over(count),
            divert: self.divert.over(count),
            voltage: self.voltage / count,
            frequency: self.frequency / count,
            heatsink: self.heatsink / count,
        }
    }
}

/// Flow each way, in W, both positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Average {
    /// Sum of the powers above zero.
    pub positive: i32,
    /// Sum of those below.
    pub negative: i32,
}

impl Average {
    fn add(&mut self, watts: i32) {
        self.positive += watts.max(0);
        self.negative += (-watts).max(0);
    }

    fn over(self, count: i32) -> Self {
        Self { positive: self.positive / count, negative: self.negative / count }
    }
}

#[derive(Debug)]
pub(super) struct Eddi {
    random: Random,
    state: EddiSnapshot,
    /// The greatest power of the roof, in W.
    roof: f64,
    load: Load,
    tanks: [Tank; 2],
    boosts: Schedule,
    stops: Schedule,
    /// Energy since the counter began, in J.
    energy: u64,
    silent_until: i64,
    /// Sums of the minute that is under way, and how many steps they are of.
    minute: MinuteHistory,
    steps: i32,
    pub(super) ledger: Ledger,
}

/// The heaters' ratings at 240 V, in W.
const RATINGS: [i32; 2] = [3000, 2400];

impl Eddi {
    pub(super) fn new(serial: u32, mut random: Random, load: Load) -> Self {
        // The address ends as the serial number does, as that of the one device that is known.
        let [_, address @ ..] = serial.to_be_bytes();
        let first = Tank::new(180.0, f64::from(random.between(46, 54)), 60.0);
        let second = Tank::new(250.0, f64::from(random.between(34, 42)), 65.0);
        Self {
            state: EddiSnapshot {
                serial,
                mac: MacAddress([0x70, 0xb3, 0xd5, address[0], address[1], address[2]]),
                grid: 0,
                generation: 0,
                divert: 0,
                counter: 0,
                voltage: 2400 + random.between(-20, 20),
                frequency: 5000,
                stopped: false,
                boost: false,
                heater: None,
                hot: false,
                max_power: 3600,
                tank: 0,
                heatsink: 200,
                minute: MinuteHistory {
                    voltage: 2400,
                    frequency: 5000,
                    heatsink: 200,
                    ..MinuteHistory::default()
                },
            },
            minute: MinuteHistory::default(),
            steps: 0,
            roof: f64::from(random.between(3000, 4200)),
            random,
            load,
            tanks: [first, second],
            boosts: Schedule::default(),
            stops: Schedule::default(),
            energy: 0,
            silent_until: i64::MIN,
            ledger: Ledger::new(serial),
        }
    }

    pub(super) fn state(&self) -> &EddiSnapshot {
        &self.state
    }

    pub(super) fn is_silent(&self, now: i64) -> bool {
        now < self.silent_until
    }

    /// The device's own midnight, which differs from the house's by its clock.
    pub(super) fn begin_own_day(&mut self, day: &Day) {
        self.energy = 0;
        self.ledger.begin_own(day.date);
    }

    pub(super) fn restart(&mut self, now: i64) {
        self.energy = 0;
        self.state.divert = 0;
        self.silent_until = now + SILENCE;
    }

    /// Plans the day of the house: who washes when, what the timers do.
    pub(super) fn begin_local_day(&mut self, day: &Day, winter: bool) {
        self.ledger.begin_local(day.date);
        self.load.begin_day(day);
        let random = &mut self.random;
        let mut at = |least, greatest| day.begins + i64::from(random.between(least, greatest));

        let [first, second] = &mut self.tanks;
        first.drawn.add(at(6 * HOUR, 8 * HOUR), 7 * MINUTE, 15_000);
        first.drawn.add(at(6 * HOUR, 9 * HOUR), 6 * MINUTE, 14_000);
        first.drawn.add(at(18 * HOUR, 21 * HOUR), 8 * MINUTE, 13_000);
        for _ in 0..4 {
            first.drawn.add(at(7 * HOUR, 22 * HOUR), MINUTE, 9_000);
        }
        let heating = if winter { 900 } else { 280 };
        second.drawn.add(day.begins, 24 * HOUR, heating);

        let morning = at(5 * HOUR, 6 * HOUR);
        let evening = at(17 * HOUR, 19 * HOUR);
        let late = at(23 * HOUR, 23 * HOUR + 40 * MINUTE);
        let stop = at(11 * HOUR, 15 * HOUR);
        if self.random.chance(if winter { 0.85 } else { 0.4 }) {
            self.boosts.add(morning, HOUR, 1);
        }
        if self.random.chance(if winter { 0.5 } else { 0.1 }) {
            self.boosts.add(evening, 45 * MINUTE, 1);
        }
        if self.random.chance(0.2) {
            // A late bath, and the water is heated again over midnight.
            self.tanks[0].drawn.add(late - i64::from(20 * MINUTE), 12 * MINUTE, 15_000);
            self.boosts.add(late, 75 * MINUTE, 1);
        }
        if self.random.chance(0.12) {
            let minutes = self.random.between(20, 90);
            self.stops.add(stop, minutes * MINUTE, 1);
        }
    }

    /// Two seconds under this light, at this frequency of the mains.
    pub(super) fn step(&mut self, now: i64, light: f64, frequency: i32) {
        let load = self.load.power(now);
        let noise = self.random.next();
        let generation = self.generation(light, noise);
        let voltage = self.state.voltage;
        let voltage = voltage + i32::from(noise & 0x10 != 0)
            - i32::from(noise & 0x20 != 0)
            - (voltage - 2400) / 48;

        let stopped = self.stops.is_on(now);
        let boost = self.boosts.is_on(now) && !stopped && !self.tanks[0].hot;
        let channel = self.tanks.iter().position(|tank| !tank.hot).filter(|_| !stopped);
        let rating = channel.map_or(0, |channel| RATINGS[channel]);
        let full = rating * voltage / 2400 * voltage / 2400;
        let divert = if self.is_silent(now) || stopped {
            0
        } else if boost {
            full
        } else {
            toward(self.state.divert, (generation - load - MARGIN).clamp(0, full))
        };

        for (index, tank) in self.tanks.iter_mut().enumerate() {
            tank.step(now, if channel == Some(index) { divert } else { 0 });
        }
        self.energy += u64::from(divert.unsigned_abs()) * u64::from(STEP);
        let grid = load + divert - generation;
        self.ledger.step(grid, generation, divert);

        let heatsink = 200 + divert / 8;
        let state = &mut self.state;
        state.heatsink += (heatsink - state.heatsink).signum();
        state.grid = grid;
        state.generation = generation;
        state.divert = divert;
        state.voltage = voltage;
        state.frequency = frequency;
        state.stopped = stopped;
        state.boost = boost;
        state.heater =
            channel.filter(|_| divert > 0).map(|channel| if channel == 0 { 1 } else { 2 });
        state.hot = self.tanks[0].hot;
        state.max_power = if rating == 0 { 3600 } else { rating };
        state.tank = rounded(self.tanks[0].temperature * 10.0);
        state.counter = u16::try_from(self.energy / COUNTER_STEP).unwrap_or(u16::MAX);
        self.take_minute(now);
    }

    /// Adds two seconds to the minute, and ends it where that is due.
    fn take_minute(&mut self, now: i64) {
        let (state, sums) = (&mut self.state, &mut self.minute);
        if now.rem_euclid(60) == 0 {
            if self.steps > 0 {
                state.minute = sums.over(self.steps);
            }
            (*sums, self.steps) = (MinuteHistory::default(), 0);
        }
        sums.grid.add(state.grid);
        sums.generation.add(state.generation);
        sums.divert.add(state.divert);
        sums.voltage += state.voltage;
        sums.frequency += state.frequency;
        sums.heatsink += state.heatsink;
        self.steps += 1;
    }

    fn generation(&self, light: f64, noise: u64) -> i32 {
        let ripple = i32::from(noise & 3 == 3) - i32::from(noise & 0xc == 0xc);
        if light > 0.0 {
            (rounded(self.roof * light) + ripple * 3).max(0)
        } else {
            // The inverter's own need.
            ripple - 4
        }
    }
}

/// Half of the way there, as the control loop goes.
fn toward(power: i32, wanted: i32) -> i32 {
    let way = wanted - power;
    if way.abs() < 2 { wanted } else { power + way / 2 }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn rounded(value: f64) -> i32 {
    value.round() as i32
}
