//! Daily energy on simulated years: every day is the device's own day, whatever happens.
#![cfg(feature = "sqlite")]

mod household;
mod noise;

use std::collections::BTreeMap;
use std::ops::Range;

use energi_decoders::counter::{CounterFilter, CounterPoint, Judgement, MAX_ENERGY, WattHours};
use energi_sinks::sqlite::daily::{DivertedDay, Recorder, day, window};
use household::{Clock, Household, Shown, timestamp};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use noise::Noise;
use support::rng::Rng;

/// Points that the store keeps of one device.
type Store = BTreeMap<Timestamp, CounterPoint>;

/// The way from the air to the store: gate, then recorder, both without a memory of earlier runs.
struct Gateway {
    gate: Option<CounterFilter>,
    recorder: Recorder,
}

impl Gateway {
    fn start() -> Self {
        Self { gate: None, recorder: Recorder::new() }
    }

    fn hear_all(&mut self, heard: &[Shown], store: &mut Store) {
        for shown in heard {
            self.hear(*shown, store);
        }
    }

    fn hear(&mut self, (time, hundredths): Shown, store: &mut Store) {
        let point = CounterPoint { time: timestamp(time), energy: WattHours(hundredths * 10) };
        if point.energy > MAX_ENERGY {
            return;
        }
        let gate = self.gate.get_or_insert_with(CounterFilter::gate);
        if gate.judge(point) != Judgement::Withheld {
            store.extend(self.recorder.offer(point).map(|point| (point.time, point)));
        }
    }
}

fn computed(date: Date, tz: &TimeZone, store: &Store) -> DivertedDay {
    let points: Vec<_> = store.range(window(date, tz)).map(|(_, point)| *point).collect();
    day(date, tz, &points)
}

/// A household of two years from new year 2025, in London, and what of it is heard.
struct Years {
    tz: TimeZone,
    household: Household,
    truth: BTreeMap<Date, i64>,
    heard: Vec<Shown>,
}

impl Years {
    fn new(days: usize, clock: Clock, seed: u64) -> Self {
        let tz = TimeZone::get("Europe/London").unwrap();
        let household = Household::new(date(2025, 1, 1), days, &tz, clock, &mut Rng(seed));
        let mut noise = Noise::new(seed ^ 0xA1);
        let mut gaps = household.gaps.iter().peekable();
        let mut heard = Vec::new();
        let truth = household.live(|shown| {
            let received = noise.receive(shown);
            while gaps.next_if(|gap| gap.end <= shown.0).is_some() {}
            if gaps.peek().is_none_or(|gap| shown.0 < gap.start) {
                heard.push(received);
            }
        });
        Self { tz, household, truth, heard }
    }

    /// Hears it all once, with the gateway's restarts.
    fn store(&self) -> Store {
        let mut store = Store::new();
        let mut gateway = Gateway::start();
        let mut restarts = self.household.gateway_restarts.iter().peekable();
        for shown in &self.heard {
            if restarts.next_if(|time| **time <= shown.0).is_some() {
                gateway = Gateway::start();
            }
            gateway.hear(*shown, &mut store);
        }
        store
    }

    /// Returns whether a border of `day` is somewhere in `gap`.
    fn is_beside(day: &DivertedDay, gap: &Range<i64>) -> bool {
        day.borders.iter().any(|border| {
            border.after.is_none_or(|after| after.as_millisecond() < gap.end)
                && border.until.is_none_or(|until| until.as_millisecond() > gap.start)
        })
    }

    /// Returns whether `gap` can have cost the day energy at a border: then it is not complete.
    fn is_open(day: &DivertedDay, gap: &Range<i64>) -> bool {
        let [begin, end] = day.borders.map(|border| {
            let alone = DivertedDay { borders: [border, border], ..day.clone() };
            Self::is_beside(&alone, gap)
        });
        begin && !day.borders[0].fresh || end
    }

    /// Holds every date but the last to the truth, and says how well it went.
    fn judge(&self, store: &Store) {
        let gaps = &self.household.gaps;
        let (mut errors, mut wrong) = (Vec::new(), Vec::new());
        let (mut beside_gaps, mut unheard) = (0, 0);
        for [(begins, date), (ends, _)] in self.household.midnights.array_windows() {
            let day = computed(*date, &self.tz, store);
            let truth = self.truth[date];
            for gap in gaps.iter().filter(|gap| gap.contains(begins) || gap.contains(ends)) {
                if !Self::is_beside(&day, gap) {
                    wrong.push(format!("{date}: the border in {gap:?} does not show"));
                }
            }
            // What was counted before a restart that nobody heard is lost like that at a border.
            let lost = |gap: &Range<i64>| {
                let restarts = &self.household.restarts;
                restarts
                    .iter()
                    .any(|restart| gap.contains(restart) && (*begins..*ends).contains(restart))
            };
            let Some(error) = day.diverted.map(|energy| energy.0 - truth) else {
                unheard += 1;
                continue;
            };
            if gaps.iter().any(|gap| Self::is_open(&day, gap) || lost(gap)) {
                beside_gaps += 1;
                if error > 20 {
                    wrong.push(format!("{date}: {error} Wh over {truth} beside a gap"));
                }
            } else {
                errors.push(error);
                if error.abs() > 50 {
                    wrong.push(format!("{date}: {error} Wh off {truth}"));
                }
            }
        }
        let within = |limit: i64| errors.iter().filter(|error| error.abs() <= limit).count();
        println!(
            "{} whole days: {} within 0.01 kWh, {} within 0.02, {} within 0.05, from {:?} to {:?} Wh; \
             {beside_gaps} beside gaps, {unheard} unheard; {} points",
            errors.len(),
            within(10),
            within(20),
            within(50),
            errors.iter().min(),
            errors.iter().max(),
            store.len(),
        );
        assert!(wrong.is_empty(), "{} days are wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert!(within(20) * 100 >= errors.len() * 99, "too many days off by over 0.02 kWh");
        assert!(errors.len() * 10 >= self.truth.len() * 8, "too few days are judged");
    }
}

fn two_years(clock: Clock, seed: u64) {
    let years = Years::new(730, clock, seed);
    years.judge(&years.store());
}

#[test]
fn each_day_is_the_devices_own_with_a_clock_on_time() {
    two_years(Clock { late: 0, follows_dst: true }, 1);
}

#[test]
fn each_day_is_right_with_a_clock_10_minutes_fast() {
    two_years(Clock { late: -10, follows_dst: true }, 2);
}

#[test]
fn each_day_is_right_with_a_clock_10_minutes_slow() {
    two_years(Clock { late: 10, follows_dst: true }, 3);
}

#[test]
fn each_day_is_right_with_a_fast_clock_without_dst() {
    two_years(Clock { late: -10, follows_dst: false }, 4);
}

#[test]
fn each_day_is_right_with_a_slow_clock_without_dst() {
    two_years(Clock { late: 10, follows_dst: false }, 5);
}

#[test]
fn a_boost_over_midnight_is_split_without_a_reset() {
    // In each of them such a boost goes on past a midnight whose zeros the noise keeps unproven.
    for seed in [101, 102, 113, 122, 128] {
        two_years(Clock { late: -10, follows_dst: seed % 2 == 0 }, seed);
    }
}

#[test]
fn a_capture_replayed_twice_changes_nothing() {
    let years = Years::new(60, Clock { late: 10, follows_dst: true }, 6);
    let mut store = Store::new();
    let once = {
        let mut gateway = Gateway::start();
        gateway.hear_all(&years.heard, &mut store);
        store.clone()
    };
    let mut gateway = Gateway::start();
    gateway.hear_all(&years.heard, &mut store);
    assert_eq!(store, once);
    // One gateway that hears it again sees its clock go back.
    gateway.hear_all(&years.heard, &mut store);
    years.judge(&store);
}

#[test]
fn the_halves_of_a_capture_may_come_in_reverse_order() {
    let years = Years::new(60, Clock { late: -10, follows_dst: true }, 7);
    let (first, second) = years.heard.split_at(years.heard.len() / 2);
    let mut store = Store::new();
    for half in [second, first] {
        let mut gateway = Gateway::start();
        gateway.hear_all(half, &mut store);
    }
    years.judge(&store);
}
