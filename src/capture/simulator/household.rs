//! The house: its roof, its devices and the frames that they send.

use std::collections::VecDeque;

use energi_decoders::Product;
use jiff::Timestamp;

use super::STEP;
use super::day::Day;
use super::eddi::{Eddi, EddiSnapshot};
use super::frames::{self, Relay};
use super::load::Load;
use super::random::Random;
use super::settings::{Restart, Settings};
use super::solar::Solar;
use super::timetable::{Due, Sender, Timetable};
use super::truth::DayTruth;
use super::zappi::{Zappi, ZappiState};

/// Streams of random numbers, one a purpose, so that one purpose's draws never shift another's:
/// what happens does not depend on which frames are sent, or on how many devices there are.
#[derive(Clone, Copy)]
enum Stream {
    Solar,
    Mains,
    Timetable,
    Noise,
    Oddities,
    Eddi,
    Load,
    OtherTimes,
    Zappi,
    ZappiLoad,
}

/// A simulated house, without end.
#[derive(Debug)]
pub struct Household {
    settings: Settings,
    /// The second that the timetable counts from.
    base: i64,
    timetable: Timetable,
    solar: Solar,
    mains: Random,
    /// Frequency in 0.01 Hz.
    frequency: i32,
    eddis: Vec<Eddi>,
    zappis: Vec<Zappi>,
    /// Cuts to come, in order.
    restarts: VecDeque<Restart>,
    /// Days by the house's clock, and by the devices'.
    days: Option<(Day, Day)>,
    /// End of the state.
    until: i64,
    noise: Random,
    oddity: Random,
    frame: frames::Writer,
}

impl Household {
    /// A house at the beginning of its simulation.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let stream = |stream: Stream, index: u32| {
            Random::new(settings.seed, (stream as u64) << 32 | u64::from(index))
        };
        let start = settings.start;
        let base = start.as_second() + i64::from(start.subsec_nanosecond() > 0);
        let eddis = (0..settings.devices)
            .map(|index| {
                let load = Load::new(stream(Stream::Load, index));
                let serial = settings.serial.wrapping_add(index.wrapping_mul(1013));
                Eddi::new(serial, stream(Stream::Eddi, index), load)
            })
            .collect();
        let zappis = settings.others.iter().filter(|product| **product == Product::Zappi);
        let zappis = (0..).zip(zappis).map(|(index, _)| {
            let load = Load::new(stream(Stream::ZappiLoad, index));
            Zappi::new(index, stream(Stream::Zappi, index), load)
        });
        let mut restarts = settings.restarts.clone();
        restarts.sort_by_key(|restart| restart.time);
        Self {
            base,
            timetable: Timetable::new(
                &settings,
                [stream(Stream::Timetable, 0), stream(Stream::OtherTimes, 0)],
            ),
            solar: Solar::new(stream(Stream::Solar, 0)),
            mains: stream(Stream::Mains, 0),
            frequency: 5000,
            eddis,
            zappis: zappis.collect(),
            restarts: restarts.into(),
            days: None,
            until: base - base.rem_euclid(STEP.into()),
            noise: stream(Stream::Noise, 0),
            oddity: stream(Stream::Oddities, 0),
            frame: frames::Writer::new(),
            settings,
        }
    }

    /// The next frame, its Ethernet header first, and when it is sent, to the microsecond. `None`
    /// only where the settings have nobody send anything.
    pub fn next_frame(&mut self) -> Option<(Timestamp, &[u8])> {
        let time = self.advance()?;
        Some((time, self.frame()))
    }

    /// The frame that was given last.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        self.frame.frame()
    }

    /// Makes the next frame and says when it is sent.
    pub(super) fn advance(&mut self) -> Option<Timestamp> {
        loop {
            let due = self.timetable.next()?;
            let second = self.base.saturating_add(due.second);
            while second >= self.until {
                self.step();
            }
            if self.write(due, second) {
                let microseconds = second.saturating_mul(1_000_000).saturating_add(due.microsecond);
                return Timestamp::from_microsecond(microseconds).ok();
            }
        }
    }

    /// Returns what a device is and measures in truth, when the last frame is sent.
    #[must_use]
    pub fn device(&self, index: usize) -> Option<&EddiSnapshot> {
        self.eddis.get(index).map(Eddi::state)
    }

    /// The true energies of each device and date so far, by serial number, then date.
    #[must_use]
    pub fn truth(&self) -> Vec<DayTruth> {
        self.eddis.iter().flat_map(|eddi| eddi.ledger.days()).copied().collect()
    }

    /// Writes a frame; false where its sender is silent.
    fn write(&mut self, due: Due, second: i64) -> bool {
        let Due { sender, length, .. } = due;
        match sender {
            Sender::Other(index) => return self.write_other(index, length),
            Sender::Eddi(index) => {
                let Some(eddi) = self.eddis.get(index) else { return false };
                if eddi.is_silent(second) {
                    return false;
                }
                let state = eddi.state();
                frames::eddi(&mut self.frame, length, state, &mut self.noise);
                let oddities = &self.settings.oddities;
                frames::distort(&mut self.frame, length, state, oddities, &mut self.oddity);
            }
        }
        true
    }

    /// Writes a frame of a zappi or harvi; false where no device is there to relay a harvi's.
    fn write_other(&mut self, index: usize, length: u8) -> bool {
        let others = &self.settings.others;
        let of = |product| others.iter().take(index).filter(|other| **other == product).count();
        let (zappis, harvis) = (of(Product::Zappi), of(Product::Harvi));
        if others.get(index) == Some(&Product::Zappi) {
            let Some(zappi) = self.zappis.get(zappis) else { return false };
            frames::zappi(&mut self.frame, length, &zappi.state);
        } else {
            let Some(relay) = self.relay() else { return false };
            let serial = 10_645_200 + u32::try_from(harvis).unwrap_or_default();
            frames::harvi(&mut self.frame, serial, &relay);
        }
        true
    }

    /// Returns who relays the harvis' records: a zappi, or else an eddi.
    fn relay(&self) -> Option<Relay> {
        if let Some(Zappi { state, .. }) = self.zappis.first() {
            let ZappiState { mac, serial, grid, generation, voltage, .. } = *state;
            return Some(Relay { mac, serial, grid, generation, voltage });
        }
        let EddiSnapshot { mac, serial, grid, generation, voltage, .. } =
            *self.eddis.first()?.state();
        Some(Relay { mac, serial, grid, generation, voltage })
    }

    /// Two seconds of life.
    fn step(&mut self) {
        let now = self.until;
        self.until += i64::from(STEP);
        self.look_at_clocks(now);
        while let Some(restart) = self.restarts.front() {
            if restart.time.as_second() >= self.until {
                break;
            }
            if let Some(eddi) = self.eddis.get_mut(restart.device) {
                eddi.restart(now);
            }
            self.restarts.pop_front();
        }
        let light = self.solar.light(now);
        if self.mains.chance(0.2) {
            self.frequency += self.mains.between(-1, 1) - (self.frequency - 5000) / 8;
        }
        for eddi in &mut self.eddis {
            eddi.step(now, light, self.frequency);
        }
        let voltage = self.eddis.first().map_or(2400, |eddi| eddi.state().voltage);
        for zappi in &mut self.zappis {
            zappi.step(now, light, self.frequency, voltage);
        }
    }

    /// Begins the days that begin now.
    fn look_at_clocks(&mut self, now: i64) {
        let timezone = &self.settings.timezone;
        let ahead = self.settings.clock_ahead.as_secs();
        let (house, device) = match self.days {
            Some(days) if days.0.contains(now) && days.1.contains(now) => return,
            Some((house, device)) => (Some(house), Some(device)),
            None => (None, None),
        };
        let begun = |day: Option<Day>, ahead| match day {
            Some(day) if day.contains(now) => (day, false),
            _ => (Day::containing(now, timezone, ahead), true),
        };
        let (house, new) = begun(house, 0);
        if new {
            self.solar.begin_day(&house, timezone);
            for eddi in &mut self.eddis {
                eddi.begin_local_day(&house, self.solar.is_winter());
            }
            for zappi in &mut self.zappis {
                zappi.begin_local_day(&house);
            }
        }
        let (device, new) = begun(device, ahead);
        if new {
            for eddi in &mut self.eddis {
                eddi.begin_own_day(&device);
            }
        }
        self.days = Some((house, device));
    }
}
