//! Today's import, export and generation of one device, as its readings arrive.

use std::ops::Range;

use energi_decoders::Reading;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::flow::{Flows, held, milliwatt_hours};

/// The packet whose powers count.
const POWER_PACKET: u8 = 0x22;

/// Energy of today in kWh; `None` until a power of that kind was read today.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FlowKwh {
    /// Energy from the grid.
    pub import: Option<f64>,
    /// Energy to the grid.
    pub export: Option<f64>,
    /// Energy from the generator.
    pub generation: Option<f64>,
}

/// Integrates the powers of one device since local midnight, or since the first reading of today.
///
/// The values only rise, and start again from zero at local midnight. They equal the history's day
/// for a device that was received all day. A clock that is set back on the same date counts nothing
/// twice.
#[derive(Debug, Clone)]
pub struct TodaysFlows {
    timezone: TimeZone,
    date: Option<Date>,
    /// Day from its midnight to the next, in microseconds.
    day: Range<i64>,
    /// Time from which the day is counted.
    begun: Option<Timestamp>,
    flows: Flows,
    grid: PowerMeter,
    generation: PowerMeter,
}

/// One power and how much of today it has been counted for. Times are microseconds since 1970 UTC.
#[derive(Debug, Clone, Default)]
struct PowerMeter {
    /// Time and watts of the last reading.
    last: Option<(i64, i64)>,
    /// Time up to which today is counted.
    counted: i64,
    is_known: bool,
}

impl TodaysFlows {
    /// Creates an empty day; days begin at midnight in `timezone`.
    #[must_use]
    pub fn new(timezone: TimeZone) -> Self {
        Self {
            timezone,
            date: None,
            day: 0..0,
            begun: None,
            flows: Flows::default(),
            grid: PowerMeter::default(),
            generation: PowerMeter::default(),
        }
    }

    /// Takes the next reading of the device. Returns whether it has a power that counts.
    pub fn add(&mut self, reading: &Reading) -> bool {
        if reading.packet() != POWER_PACKET || reading.experimental() {
            return false;
        }
        let watts = |key| {
            #[expect(clippy::cast_possible_truncation, reason = "whole watts of 16 bits")]
            reading.get(key).map(|value| value.as_f64() as i64)
        };
        let (grid, generation) = (watts("grid_pwr"), watts("gen_pwr"));
        let Some(time) = reading.time.filter(|_| grid.or(generation).is_some()) else {
            return false;
        };
        self.add_powers(time, grid, generation);
        true
    }

    /// Takes powers that were read at `time`, in watts; `None` where one was withheld.
    pub fn add_powers(&mut self, time: Timestamp, grid: Option<i64>, generation: Option<i64>) {
        let micros = time.as_microsecond();
        if !self.day.contains(&micros) {
            self.begin_day(time);
        }
        if let Some(watts) = grid {
            let (before, held) = self.grid.read(micros, watts, self.day.end);
            self.flows.add_grid(before, held);
        }
        if let Some(watts) = generation {
            let (before, held) = self.generation.read(micros, watts, self.day.end);
            self.flows.add_generation(before, held);
        }
    }

    /// The date that the values are of; `None` before the first power.
    #[must_use]
    pub fn date(&self) -> Option<Date> {
        self.date
    }

    /// Returns since when today is counted: midnight, where a power held over that, else the first
    /// reading of today. `None` before the first power.
    #[must_use]
    pub fn since(&self) -> Option<Zoned> {
        self.begun.map(|time| time.to_zoned(self.timezone.clone()))
    }

    /// Energy of today up to the last reading.
    #[must_use]
    pub fn kwh(&self) -> FlowKwh {
        #[expect(clippy::cast_precision_loss, reason = "a day's energy is far below 2^52 mWh")]
        let kwh =
            |flow, meter: &PowerMeter| meter.is_known.then(|| milliwatt_hours(flow) as f64 / 1e6);
        FlowKwh {
            import: kwh(self.flows.import, &self.grid),
            export: kwh(self.flows.export, &self.grid),
            generation: kwh(self.flows.generation, &self.generation),
        }
    }
}

impl TodaysFlows {
    fn begin_day(&mut self, time: Timestamp) {
        let date = time.to_zoned(self.timezone.clone()).date();
        let [midnight, next] = midnights(date, &self.timezone);
        let [begin, end] = [midnight, next].map(Timestamp::as_microsecond);
        let is_held = [&self.grid, &self.generation].into_iter().any(|meter| {
            meter.last.is_some_and(|(since, _)| {
                since < begin && held(since, Some(time.as_microsecond()), &(begin..end)) > 0
            })
        });
        self.begun = Some(if is_held { midnight } else { time });
        (self.date, self.day, self.flows) = (Some(date), begin..end, Flows::default());
        for meter in [&mut self.grid, &mut self.generation] {
            (meter.counted, meter.is_known) = (begin, false);
        }
    }
}

impl PowerMeter {
    /// Returns the power before this reading, and how long it held today without being counted.
    fn read(&mut self, time: i64, watts: i64, end: i64) -> (i64, i64) {
        self.is_known = true;
        let before = self.last.replace((time, watts));
        let Some((since, watts)) = before else { return (0, 0) };
        let held = held(since, Some(time), &(self.counted..end));
        self.counted = self.counted.max(time);
        (watts, held)
    }
}

/// Returns when `date` and the next begin: the first instants that they have, where a zone skips
/// midnight.
pub(crate) fn midnights(date: Date, tz: &TimeZone) -> [Timestamp; 2] {
    let midnight = |date: Date| {
        tz.to_zoned(date.at(0, 0, 0, 0))
            .and_then(|zoned| zoned.start_of_day())
            .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    };
    [midnight(date), date.tomorrow().map_or(Timestamp::MAX, midnight)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> TodaysFlows {
        TodaysFlows::new(TimeZone::get("Europe/London").unwrap())
    }

    fn add(flows: &mut TodaysFlows, readings: &[(&str, i64, i64)]) {
        for (time, grid, generation) in readings {
            flows.add_powers(time.parse().unwrap(), Some(*grid), Some(*generation));
        }
    }

    #[test]
    fn a_power_counts_for_at_most_a_minute() {
        let mut flows = london();
        assert_eq!(flows.kwh(), FlowKwh::default(), "unknown before the first reading");
        add(
            &mut flows,
            &[("2026-06-20T10:00:00Z", 3_600, 7_200), ("2026-06-20T10:00:10Z", -3_600, -40)],
        );
        let kwh = flows.kwh();
        assert_eq!((kwh.import, kwh.export, kwh.generation), (Some(0.01), Some(0.0), Some(0.02)));
        add(&mut flows, &[("2026-06-20T11:00:00Z", 0, 0)]);
        let kwh = flows.kwh();
        assert_eq!((kwh.import, kwh.export, kwh.generation), (Some(0.01), Some(0.06), Some(0.02)));
    }

    #[test]
    fn a_day_begins_from_zero_at_local_midnight() {
        let mut flows = london();
        add(&mut flows, &[("2026-06-20T22:59:30Z", 3_600, 0), ("2026-06-20T22:59:50Z", 3_600, 0)]);
        assert_eq!(flows.kwh().import, Some(0.02));
        add(&mut flows, &[("2026-06-20T23:00:10Z", 3_600, 0)]);
        assert_eq!(flows.kwh().import, Some(0.01), "what flowed since midnight");
        assert_eq!(flows.date(), Some(jiff::civil::date(2026, 6, 21)));
    }

    #[test]
    fn a_clock_that_is_set_back_counts_nothing_twice() {
        let mut flows = london();
        let minute = [("2026-06-20T10:00:00Z", 3_600, 0), ("2026-06-20T10:00:30Z", 3_600, 0)];
        add(&mut flows, &minute);
        add(&mut flows, &minute);
        assert_eq!(flows.kwh().import, Some(0.03));
        add(&mut flows, &[("2026-06-20T10:00:40Z", 0, 0)]);
        assert_eq!(flows.kwh().import, Some(0.04));
    }

    #[test]
    fn a_withheld_power_leaves_the_one_before_it_in_force() {
        let mut flows = london();
        add(&mut flows, &[("2026-06-20T10:00:00Z", 3_600, 3_600)]);
        flows.add_powers("2026-06-20T10:00:10Z".parse().unwrap(), None, Some(0));
        add(&mut flows, &[("2026-06-20T10:00:20Z", 0, 0)]);
        assert_eq!(flows.kwh().import, Some(0.02));
        assert_eq!(flows.kwh().generation, Some(0.01));
    }
}
