use std::collections::{BTreeMap, BTreeSet};

use energi_decoders::{DecoderTable, Frame, MacAddress, Product, Reading};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::truth::{Joules, write_csv};
use super::*;

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(london()).unwrap().timestamp()
}

fn settings(first: Date) -> Settings {
    Settings::new(midnight(first), london())
}

/// Confirmed readings only, so that many days pass quickly.
fn sparse(first: Date) -> Settings {
    let rates = vec![Rate { length: 0x20, every: 12 }, Rate { length: 0x1F, every: 24 }];
    Settings { rates, ..settings(first) }
}

/// Shows every frame before `end` to `look`.
fn watch(household: &mut Household, end: Timestamp, mut look: impl FnMut(&Household, Timestamp)) {
    while let Some(time) = household.advance()
        && time < end
    {
        look(household, time);
    }
}

fn length(frame: &[u8]) -> u8 {
    Frame::parse(frame).unwrap().records().next().unwrap().length()
}

fn u16_at(frame: &[u8], offset: u8) -> u16 {
    let record = Frame::parse(frame).unwrap().records().next().unwrap();
    u16::from_le_bytes(record.at(offset).unwrap())
}

fn i16_at(frame: &[u8], offset: u8) -> i32 {
    u16_at(frame, offset).cast_signed().into()
}

#[test]
fn a_day_has_146_160_frames_at_documented_rates() {
    let day = date(2026, 6, 20);
    let mut household = Household::new(settings(day));
    let mut counts = BTreeMap::new();
    let mut last = Timestamp::MIN;
    watch(&mut household, midnight(date(2026, 6, 21)), |household, time| {
        assert!(time > last);
        last = time;
        *counts.entry(length(household.frame())).or_insert(0) += 1;
    });
    let rates = [
        (0x1F, 3600),
        (0x20, 7200),
        (0x22, 43_200),
        (0x27, 21_600),
        (0x2B, 7200),
        (0x2C, 7200),
        (0x2D, 7200),
        (0x36, 43_200),
        (0x37, 1440),
        (0x38, 1440),
        (0x39, 1440),
        (0x3A, 1440),
    ];
    assert_eq!(counts, BTreeMap::from(rates));
    assert_eq!(counts.values().sum::<i32>(), 146_160);
}

#[test]
fn other_devices_leave_the_eddi_as_it_is() {
    let day = date(2026, 6, 20);
    let end = midnight(day) + SignedDuration::from_hours(21);
    let frames = |settings: Settings| {
        let mut household = Household::new(settings);
        let mut frames = Vec::new();
        watch(&mut household, end, |household, time| {
            frames.push((time, household.frame().to_vec()));
        });
        frames
    };
    let mut together = settings(day);
    together.of(&[Product::Eddi, Product::Zappi, Product::Harvi]);
    let table = DecoderTable::built_in();
    let (mut eddis, mut words) = (Vec::new(), BTreeSet::new());
    for (time, frame) in frames(together) {
        let parsed = Frame::parse(&frame).unwrap();
        let record = parsed.records().next().unwrap();
        let readings: Vec<_> = table.decode(&record).flatten().collect();
        let known = readings.iter().filter(|reading| reading.product != Product::Unknown);
        if parsed.source() == Some(MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5])) {
            assert!(known.clone().all(|reading| reading.product == Product::Eddi));
            eddis.push((time, frame));
            continue;
        }
        assert!(known.clone().all(Reading::experimental));
        for reading in known {
            let from_harvi = reading.product == Product::Harvi;
            assert_eq!(reading.relay().is_some(), from_harvi);
            let fields = reading.fields().filter(|(field, _)| field.key() == "zappi/mode");
            words.extend(fields.map(|(_, value)| value.to_string()));
            words.insert(reading.product.to_string());
        }
    }
    assert_eq!(eddis, frames(settings(day)));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    assert_eq!(words, ["eco", "fast", "harvi", "stop", "zappi"]);
}

#[test]
fn the_minute_history_averages_the_minute_before() {
    let day = date(2026, 6, 20);
    let mut household = Household::new(settings(day));
    let mut sums = BTreeMap::new();
    let end = midnight(day) + SignedDuration::from_hours(12);
    let mut minutes = 0;
    watch(&mut household, end, |household, time| {
        let (frame, minute) = (household.frame(), time.as_second() / 60);
        match length(frame) {
            0x22 => *sums.entry(minute).or_insert(0) += i16_at(frame, 0x32),
            0x36 if u16_at(frame, 0x38) > 2000 && minute > midnight(day).as_second() / 60 => {
                // Within the wild values that are sent now and then.
                minutes += i32::from(i16_at(frame, 0x3e) == sums[&(minute - 1)] / 30);
            }
            _ => {}
        }
    });
    assert!(minutes > 20_000, "{minutes}");
}

#[test]
fn the_seed_decides_the_frames() {
    let hour = |seed| {
        let mut household = Household::new(Settings { seed, ..settings(date(2026, 6, 20)) });
        let mut frames = Vec::new();
        let end = midnight(date(2026, 6, 20)) + SignedDuration::from_hours(1);
        watch(&mut household, end, |household, time| {
            frames.push((time, household.frame().to_vec()));
        });
        frames
    };
    assert_eq!(hour(1), hour(1));
    assert_ne!(hour(1), hour(2));
}

#[test]
fn a_device_does_not_depend_on_other_devices() {
    let (first, end) = (date(2026, 3, 1), midnight(date(2026, 3, 4)));
    let truth = |settings: Settings| {
        let mut household = Household::new(settings);
        watch(&mut household, end, |_, _| {});
        let mut days = household.truth();
        days.retain(|day| day.serial == 17_589_669 && day.date < date(2026, 3, 4));
        days
    };
    let alone = truth(sparse(first));
    assert_eq!(alone.len(), 3);
    assert_eq!(alone, truth(Settings { devices: 3, ..sparse(first) }));
    assert_eq!(alone, truth(settings(first)));
}

#[test]
fn confirmed_frames_say_what_is_true() {
    let day = date(2026, 6, 20);
    let mut household = Household::new(Settings { devices: 2, ..settings(day) });
    let mut seen = BTreeMap::new();
    watch(&mut household, midnight(date(2026, 6, 21)), |household, _| {
        let frame = household.frame();
        let source = Frame::parse(frame).unwrap().source();
        let index = usize::from(source != Some(MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5])));
        let state = household.device(index).unwrap();
        assert_eq!(source, Some(state.mac));
        let serial =
            |offset| u32::from(u16_at(frame, offset)) | u32::from(u16_at(frame, offset + 2)) << 16;
        match length(frame) {
            0x1F => {
                assert_eq!(serial(0x1e), state.serial);
                assert_eq!(i32::from(u16_at(frame, 0x22)), state.frequency);
                assert_eq!(u16_at(frame, 0x2c), state.counter);
                assert_eq!(i32::from(u16_at(frame, 0x32)), state.voltage);
            }
            0x20 => {
                assert_eq!(serial(0x1e), state.serial);
                assert_eq!(u16_at(frame, 0x24) & 0x8000 != 0, state.stopped);
                assert_eq!(i32::from(u16_at(frame, 0x26)), state.max_power);
                assert_eq!(u16_at(frame, 0x2c), state.counter);
                assert_eq!(i16_at(frame, 0x34), state.divert);
                let status = u16_at(frame, 0x2e);
                assert_eq!(status & 0x0010 != 0, state.boost);
                assert_eq!(status & 0x0100 != 0, state.heater == Some(1));
                assert_eq!(status & 0x0200 != 0, state.heater == Some(2));
                let reached = [state.stopped, state.boost, state.heater == Some(2), state.hot];
                for (what, reached) in ["stop", "boost", "heater 2", "hot"].iter().zip(reached) {
                    *seen.entry(*what).or_insert(0) += u32::from(reached);
                }
            }
            0x22 => {
                assert_eq!(serial(0x2e), state.serial);
                let powers = [0x1e, 0x22, 0x32].map(|offset| i16_at(frame, offset));
                assert_eq!(powers, [state.grid, state.generation, state.divert]);
            }
            _ => {}
        }
    });
    assert!(seen["heater 2"] > 0 && seen["hot"] > 0, "{seen:?}");
}

#[test]
fn powers_add_up_to_the_truth() {
    let day = date(2026, 6, 20);
    let mut household = Household::new(settings(day));
    let mut sums = [Joules::default(); 4];
    let mut counter = 0;
    watch(&mut household, midnight(date(2026, 6, 21)), |household, _| {
        let frame = household.frame();
        match length(frame) {
            0x22 => {
                let [grid, generation, divert] =
                    [0x1e, 0x22, 0x32].map(|offset| i16_at(frame, offset));
                for (sum, power) in sums.iter_mut().zip([divert, grid, -grid, generation]) {
                    *sum += Joules::step(power);
                }
            }
            0x20 => counter = u16_at(frame, 0x2c),
            _ => {}
        }
    });
    let truth = household.truth()[0];
    assert_eq!(sums, [truth.diverted, truth.import, truth.export, truth.generation]);
    assert_eq!(u64::from(counter), truth.diverted.0 / 36_000);
    assert!(truth.diverted.watt_hours() > 2_000, "{truth:?}");
}

#[test]
fn the_counter_begins_at_the_midnight_of_the_device() {
    for (ahead, minutes) in [(600, -10), (-600, 10), (0, 0)] {
        let mut household = Household::new(Settings {
            clock_ahead: SignedDuration::from_secs(ahead),
            ..sparse(date(2026, 3, 26))
        });
        let (mut last, mut resets) = (0, Vec::new());
        watch(&mut household, midnight(date(2026, 3, 31)), |household, time| {
            let counter = household.device(0).unwrap().counter;
            if counter < last {
                resets.push(time);
            }
            last = counter;
        });
        assert!(resets.len() >= 3, "{resets:?}");
        for reset in resets {
            // To the rate of the frames, also on the day of 23 hours.
            let near = reset - SignedDuration::from_mins(minutes);
            let near = near.to_zoned(london()).start_of_day().unwrap().timestamp();
            let late = reset.duration_since(near + SignedDuration::from_mins(minutes));
            assert!((0..=24).contains(&late.as_secs()), "{reset}: {late}");
        }
    }
}

#[test]
fn every_kind_of_day_comes_in_a_year() {
    let (first, last) = (date(2026, 1, 1), date(2027, 1, 1));
    let rates = vec![Rate { length: 0x20, every: 60 }];
    let mut household = Household::new(Settings { rates, ..settings(first) });
    let mut over_midnight = 0;
    let mut seen = [0; 4];
    watch(&mut household, midnight(last), |household, time| {
        let state = household.device(0).unwrap();
        assert!((0..=3400).contains(&state.divert), "{state:?}");
        assert!((2300..=2500).contains(&state.voltage), "{state:?}");
        assert!((4950..=5050).contains(&state.frequency), "{state:?}");
        assert!((50..=650).contains(&state.tank), "{state:?}");
        let reached = [state.stopped, state.boost, state.heater == Some(2), state.hot];
        seen.iter_mut().zip(reached).for_each(|(count, reached)| *count += u32::from(reached));
        let local = time.to_zoned(london()).time();
        over_midnight += u32::from(local.hour() == 0 && local.minute() == 0 && state.divert > 2000);
    });
    assert!(over_midnight >= 20, "{over_midnight} nights");
    assert!(seen.iter().all(|&count| count > 500), "{seen:?}");
    let mut days = household.truth();
    days.retain(|day| day.date < last);
    assert_eq!(days.len(), 365);
    let energy = |month, of: fn(&truth::DayTruth) -> Joules| {
        let days = days.iter().filter(|day| day.date.month() == month);
        days.map(|day| of(day).watt_hours()).sum::<u64>() / 30_000
    };
    assert!((10..30).contains(&energy(6, |day| day.generation)), "a June day in kWh");
    assert!((1..8).contains(&energy(12, |day| day.generation)), "a December day in kWh");
    assert!(energy(12, |day| day.import) > energy(6, |day| day.import));
    assert!(days.iter().all(|day| day.diverted.watt_hours() < 90_000));
}

#[test]
fn after_a_power_cut_the_counter_begins_at_zero() {
    let day = date(2026, 6, 20);
    let noon = midnight(day) + SignedDuration::from_hours(14);
    let restarts = vec![Restart { device: 0, time: noon }];
    let mut household = Household::new(Settings { restarts, ..settings(day) });
    let (mut before, mut after, mut silence) = (0, None, Timestamp::MIN);
    watch(&mut household, midnight(date(2026, 6, 21)), |household, time| {
        let counter = household.device(0).unwrap().counter;
        if time < noon {
            (before, silence) = (counter, time);
        } else if after.is_none() {
            after = Some(counter);
            assert!(time.duration_since(silence) >= SignedDuration::from_secs(20));
        }
    });
    assert!(before > 100, "{before}");
    assert_eq!(after, Some(0));
    let last = u64::from(household.device(0).unwrap().counter);
    let truth = household.truth()[0].diverted.0 / 36_000;
    assert!(truth >= u64::from(before) && truth > last, "the truth counts both runs");
}

#[test]
fn oddities_come_as_often_as_asked_for() {
    let day = date(2026, 6, 20);
    let oddities = Oddities { counter_zero: 0.02, counter_wild: 0.01, ..Oddities::default() };
    let mut household = Household::new(Settings { oddities, ..settings(day) });
    let (mut counters, mut zeros, mut wild, mut plausible) = (0, 0, 0, 0);
    let (mut internals, mut blank) = (0, 0);
    let noon = midnight(day) + SignedDuration::from_hours(12);
    watch(&mut household, midnight(date(2026, 6, 21)), |household, time| {
        let (frame, state) = (household.frame(), household.device(0).unwrap());
        match length(frame) {
            0x1F | 0x20 if time > noon => {
                counters += 1;
                let shown = u16_at(frame, 0x2c);
                zeros += u32::from(shown == 0);
                wild += u32::from(shown != 0 && shown != state.counter);
                plausible +=
                    u32::from(shown != state.counter && shown.abs_diff(state.counter) < 51);
            }
            0x36 => {
                internals += 1;
                blank += u32::from(u16_at(frame, 0x38) == 0);
                let serial = [u16_at(frame, 0x4a), u16_at(frame, 0x4c)];
                assert_eq!(serial, [0x65a5, 0x010c], "a wild value is never the serial number");
            }
            _ => {}
        }
    });
    let per_mille = |count: u32, of: u32| count * 1000 / of;
    assert!((14..28).contains(&per_mille(zeros, counters)), "{zeros} of {counters}");
    assert!((6..15).contains(&per_mille(wild, counters)), "{wild} of {counters}");
    assert!(plausible > 3, "{plausible}");
    assert!((8..13).contains(&per_mille(blank, internals)), "{blank} of {internals}");
}

#[test]
fn a_simulation_of_now_begins_with_the_next_second() {
    let start: Timestamp = "2026-06-20T11:02:03.4Z".parse().unwrap();
    let mut household = Household::new(Settings::new(start, london()));
    let (first, _) = household.next_frame().unwrap();
    let begun = "2026-06-20T11:02:04Z".parse::<Timestamp>().unwrap();
    assert!(first >= begun && first < begun + 2.seconds());
}

#[test]
fn the_source_keeps_its_pace_without_loss() {
    let day = settings(date(2026, 6, 20));
    let mut expected = Household::new(day.clone());
    let mut source = SimulatorSource::new(day, Speed::Times(5.0));
    let mut idle = 0;
    for _ in 0..8 {
        let (time, frame) = expected.next_frame().unwrap();
        loop {
            match source.next().unwrap() {
                Event::Packet(packet) => {
                    assert_eq!((packet.time, packet.bytes), (Some(time), frame));
                    break;
                }
                Event::Idle => idle += 1,
                Event::End => panic!("a simulation has no end"),
            }
        }
    }
    assert!(idle > 0);
}

#[test]
fn the_truth_is_written_as_csv() {
    let day = truth::DayTruth {
        serial: 17_589_669,
        date: date(2026, 6, 20),
        diverted: Joules(36_000_000),
        import: Joules(1_800),
        export: Joules::default(),
        generation: Joules(4_446_000),
    };
    let mut csv = Vec::new();
    write_csv(&[day], &mut csv).unwrap();
    let expected = "serial,date,diverted_kwh,import_kwh,export_kwh,generation_kwh\n\
                    17589669,2026-06-20,10.000,0.001,0.000,1.235\n";
    assert_eq!(String::from_utf8(csv).unwrap(), expected);
}
