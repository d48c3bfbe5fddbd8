//! Days that are hard to judge.

use std::collections::BTreeMap;

use energi_decoders::counter::{CounterPoint, WattHours};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{DivertedDay, day, touched, window};

const TODAY: Date = date(2025, 6, 20);

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

/// Hours after midnight of [`TODAY`] in London.
fn hours(hours: f64) -> Timestamp {
    let midnight = TODAY.to_zoned(london()).unwrap().timestamp();
    midnight + SignedDuration::try_from_secs_f64(hours * 3_600.0).unwrap()
}

fn at(hour: f64, energy: i64) -> CounterPoint {
    CounterPoint { time: hours(hour), energy: WattHours(energy) }
}

/// A point every 5 minutes from hour to hour, the counter going evenly from one value to another.
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn steadily(from: (f64, i64), to: (f64, i64)) -> Vec<CounterPoint> {
    let (begin, steps) = (from.0, ((to.0 - from.0) * 12.0).round() as i64);
    (0..=steps)
        .map(|step| {
            let energy = from.1 + (to.1 - from.1) * step / steps.max(1);
            at(begin + f64::from(step as i32) / 12.0, energy)
        })
        .collect()
}

fn of(points: &[Vec<CounterPoint>]) -> DivertedDay {
    // As the store gives them: sorted, one a time.
    let points: BTreeMap<_, _> =
        points.iter().flatten().map(|point| (point.time, *point)).collect();
    day(TODAY, &london(), &points.into_values().collect::<Vec<_>>())
}

fn diverted(points: &[Vec<CounterPoint>]) -> Option<i64> {
    of(points).diverted.map(|energy| energy.0)
}

#[test]
fn a_day_is_its_last_value() {
    let points = [steadily((-23.9, 0), (-0.1, 7_000)), steadily((0.0, 0), (23.9, 5_000))];
    assert_eq!(diverted(&points), Some(5_000));
    assert_eq!(of(&points).borders[0].after, Some(points[0].last().unwrap().time));
    assert_eq!(of(&points).borders[0].until, Some(hours(0.0)));
    assert_eq!(of(&points).restarts, Vec::<[Timestamp; 2]>::new(), "its midnight is none");
}

#[test]
fn a_device_restarted_at_noon_keeps_its_morning() {
    let points = [
        steadily((-23.9, 0), (-0.1, 7_000)),
        steadily((0.0, 0), (12.0, 4_000)),
        steadily((12.1, 0), (23.9, 2_000)),
    ];
    assert_eq!(diverted(&points), Some(6_000));
    assert_eq!(of(&points).restarts, [[hours(12.0), hours(12.1)]]);
}

#[test]
fn a_counter_that_stays_at_zero_is_a_day_of_zero() {
    assert_eq!(diverted(&[steadily((-24.0, 0), (26.0, 0))]), Some(0));
}

#[test]
fn a_day_without_points_is_unknown() {
    assert_eq!(diverted(&[]), None);
    assert_eq!(diverted(&[steadily((-40.0, 0), (-1.0, 3_000))]), None);
}

#[test]
fn accepted_zeros_are_undone_by_the_old_counter() {
    let points = [
        steadily((0.0, 0), (12.0, 4_000)),
        vec![at(12.01, 0), at(12.03, 0)],
        steadily((12.05, 4_010), (23.9, 6_000)),
    ];
    assert_eq!(diverted(&points), Some(6_000));
}

#[test]
fn a_high_value_that_was_accepted_is_never_counted() {
    let wild = |hour: f64| vec![at(hour, 40_000), at(hour + 0.02, 40_000)];
    let cases = [
        ("at noon", 12.0, 4_000, 12.03),
        // The fall could be a reset: the value after it can have counted from zero since.
        ("early", 0.1, 100, 0.13),
        ("before a gap", 12.0, 4_000, 15.0),
    ];
    for (case, hour, energy, next) in cases {
        let points = [
            steadily((-23.9, 0), (-0.1, 7_000)),
            steadily((0.0, 0), (hour - 0.01, energy)),
            wild(hour),
            steadily((next, energy), (23.9, 6_000)),
        ];
        assert_eq!(diverted(&points), Some(6_000), "{case}");
    }
}

#[test]
fn an_accepted_low_value_takes_nothing_from_the_day() {
    let points = [
        steadily((-23.9, 0), (-0.1, 3_000)),
        steadily((0.0, 0), (20.0, 8_000)),
        vec![at(20.01, 2_000), at(20.03, 2_000)],
        steadily((20.05, 8_000), (23.9, 8_000)),
    ];
    assert_eq!(diverted(&points), Some(8_000));
}

#[test]
fn a_wild_value_does_not_undo_a_restart() {
    let points = [
        steadily((0.0, 0), (12.0, 5_000)),
        steadily((12.1, 0), (14.0, 1_000)),
        vec![at(14.01, 5_500), at(14.03, 5_500)],
        steadily((14.05, 1_000), (23.9, 2_000)),
    ];
    assert_eq!(diverted(&points), Some(7_000));
}

#[test]
fn a_gateway_restart_on_a_low_value_costs_nothing() {
    // The low value comes first and is proven by the true ones after it, which it may precede. An
    // hour or more before, the counter was higher: still no reset.
    let points = [
        steadily((0.0, 0), (19.0, 3_430)),
        steadily((19.25, 3_420), (20.5, 3_420)),
        vec![at(20.51, 3_340)],
        steadily((20.53, 3_420), (23.5, 5_000)),
    ];
    assert_eq!(diverted(&points), Some(5_000));
}

#[test]
fn a_small_wild_value_in_the_night_is_not_a_reset() {
    for wild in [vec![at(5.02, 60)], vec![at(5.02, 30), at(5.03, 30), at(5.04, 70)]] {
        let points = [steadily((-23.9, 0), (5.0, 0)), wild, steadily((5.05, 0), (23.9, 0))];
        assert_eq!(diverted(&points), Some(0));
    }
    // No device leaps like that: this one heated for a moment and started again.
    let heated = [(5.02, 10), (5.024, 20), (5.028, 40), (5.032, 50)];
    let heated = heated.map(|(hour, energy)| at(hour, energy)).to_vec();
    let points = [steadily((-23.9, 0), (5.0, 0)), heated, steadily((5.05, 0), (23.9, 0))];
    assert_eq!(diverted(&points), Some(50));
}

#[test]
fn heating_over_the_devices_midnight_is_split_there() {
    for late in [-1.0 / 6.0, 0.0, 1.0 / 6.0, 1.0] {
        let points = [
            steadily((late - 1.0, 0), (late - 0.01, 3_564)),
            steadily((late + 0.02, 72), (late + 1.0, 3_600)),
            steadily((late + 1.1, 3_600), (late + 23.99, 3_600)),
            steadily((late + 24.02, 0), (26.0, 0)),
        ];
        assert_eq!(diverted(&points), Some(3_600), "{late} h late");
    }
}

#[test]
fn a_value_that_stands_does_not_hide_midnight() {
    // Heating from a quarter of an hour before. The last value before the reset is received again after
    // it, and what is believed next has come too far for the time since.
    let points = |stands: i32| {
        [
            steadily((-23.0, 0), (-0.3, 0)),
            heating((-900, 12), 0),
            vec![at(f64::from(stands) / 3_600.0, 912)],
            heating((115, 110), 900),
            steadily((0.3, 1_000), (23.9, 5_000)),
        ]
    };
    for stands in [12, 43] {
        assert_eq!(diverted(&points(stands)), Some(5_000), "until {stands} s after midnight");
    }
}

/// A heater of 3.6 kW that is on from one second before local midnight to another, by a counter
/// read every 12 s.
fn heating(from: (i32, i64), until: i32) -> Vec<CounterPoint> {
    (from.0..=until)
        .step_by(12)
        .map(|second| at(f64::from(second) / 3_600.0, from.1 + i64::from(second - from.0)))
        .collect()
}

#[test]
fn heating_over_midnight_is_split_without_a_reset() {
    // On from 12 minutes before midnight; the counter starts again 2 minutes later, and is believed
    // once it has passed what it was.
    let points = |pause: i32| {
        [
            steadily((-50.0, 0), (-0.25, 0)),
            heating((-708, 12), -600),
            heating((-600 + pause, 132), 600),
            steadily((0.2, 1_340), (23.7, 5_000)),
        ]
    };
    assert_eq!(diverted(&points(132)), Some(5_000));
    // Off for a moment, or for longer than the counter could have caught up in: no reset shows, and
    // nothing is counted twice.
    for pause in [72, 240] {
        let energy = diverted(&points(pause)).unwrap();
        assert!(energy <= 5_000, "{energy}");
        assert_ne!(energy, 5_000, "paused for {pause} s");
    }
}

#[test]
fn a_switched_heater_hides_no_midnight() {
    let switched = (0..5_i64).flat_map(|turn| {
        let begin = i32::try_from(turn).unwrap() * 240 - 708;
        heating((begin, 12 + turn * 120), begin + 108)
    });
    let points =
        [steadily((-50.0, 0), (-0.25, 0)), switched.collect(), steadily((0.2, 600), (23.7, 5_000))];
    assert_eq!(diverted(&points), Some(4_988));
}

#[test]
fn after_a_gap_over_midnight_a_value_counts_from_zero() {
    let points = [steadily((-23.5, 0), (-1.0, 3_000)), steadily((1.0, 3_100), (23.5, 5_000))];
    let day = of(&points);
    assert_eq!(day.diverted, Some(WattHours(5_000)));
    assert_eq!(day.borders[0].after, Some(hours(-1.0)));
    assert_eq!(day.borders[0].until, Some(hours(1.0)));
}

#[test]
fn a_value_too_high_for_its_gap_is_carried() {
    let points = [steadily((-23.9, 0), (-0.2, 6_000)), steadily((0.2, 6_000), (23.9, 7_000))];
    assert_eq!(diverted(&points), Some(1_000));
}

#[test]
fn an_evening_alone_gives_the_day_the_device_shows() {
    assert_eq!(diverted(&[steadily((20.0, 4_000), (23.9, 4_500))]), Some(4_500));
}

#[test]
fn a_gap_of_days_leaves_the_days_between_unknown() {
    let points = [steadily((-40.0, 0), (-30.0, 3_000)), steadily((33.0, 500), (40.0, 900))];
    assert_eq!(diverted(&points), None);
}

#[test]
fn an_unseen_reset_lies_where_the_last_one_was() {
    // The device is ten minutes fast. Yesterday nothing was diverted, so its midnight does not
    // show, and it heats from five minutes before ours.
    let points = [
        steadily((-40.0, 0), (-24.2, 5_000)),
        steadily((-24.15, 0), (-0.1, 0)),
        steadily((-0.08, 0), (0.92, 3_600)),
        steadily((1.0, 3_600), (23.8, 3_600)),
        steadily((23.85, 0), (26.0, 0)),
    ];
    assert_eq!(diverted(&points), Some(3_600));
}

#[test]
fn a_border_is_as_wide_as_the_clock_is_unsure() {
    // Its last midnight was in six minutes, a quarter of an hour before ours; a gap begins in them.
    let points = [
        steadily((-30.0, 3_000), (-24.25, 3_000)),
        steadily((-24.15, 0), (-0.3, 0)),
        vec![at(-0.2, 0)],
        steadily((2.7, 0), (23.7, 500)),
    ];
    let [border, _] = of(&points).borders;
    assert!(border.after.unwrap() < hours(-0.25), "{border:?}");
    assert_eq!(border.until, Some(hours(2.7)));

    // Two nights after it was seen, the clocks go forward: its midnight is an hour later if it does
    // not follow them, and then in the gap.
    let march = |hour: f64| hour - 1_991.0;
    let points = [
        steadily((march(-5.0), 3_000), (march(0.16), 3_000)),
        steadily((march(0.18), 0), (march(71.4), 0)),
        steadily((march(73.7), 0), (march(80.0), 0)),
    ];
    assert_eq!(hours(march(0.0)).to_string(), "2025-03-29T00:00:00Z");
    let [_, border] = day(date(2025, 3, 31), &london(), &points.concat()).borders;
    assert!(border.after.unwrap() < hours(march(71.16)), "{border:?}");
    assert_eq!(border.until, Some(hours(march(73.7))));
}

#[test]
fn a_clock_an_hour_slow_for_a_while_adds_nothing() {
    // Started at ten without a network: its first minutes are stored an hour early.
    let points = [
        steadily((0.0, 0), (9.5, 2_000)),
        vec![at(9.003, 2_300), at(9.02, 2_310), at(9.06, 2_330)],
        steadily((10.1, 2_350), (23.9, 6_000)),
    ];
    assert_eq!(diverted(&points), Some(6_000));
}

#[test]
fn a_day_has_23_24_or_25_hours() {
    let cases = [
        ("Europe/London", date(2025, 3, 30), 23),
        ("Europe/London", date(2025, 10, 26), 25),
        ("Africa/Cairo", date(2025, 4, 25), 23),
        ("America/Santiago", date(2025, 9, 7), 23),
        ("UTC", date(2024, 2, 29), 24),
    ];
    for (zone, date, length) in cases {
        let window = window(date, &TimeZone::get(zone).unwrap());
        let hours = window.end.duration_since(window.start).as_hours();
        assert_eq!(hours, 50 + length + 3, "{zone} {date}");
    }
}

#[test]
fn a_date_at_an_end_of_the_calendar_is_unknown() {
    for end in [Date::MIN, Date::MAX] {
        assert_eq!(day(end, &london(), &[]).diverted, None);
    }
}

fn any_points() -> impl Strategy<Value = Vec<CounterPoint>> {
    let energy = prop_oneof![Just(0), 0_i64..100, 0_i64..=90_000, Just(90_000)];
    let point = (-60.0_f64..30.0, energy).prop_map(|(hour, energy)| at(hour, energy));
    prop::collection::vec(point, 0..120)
}

proptest! {
    #[test]
    fn any_points_make_a_day_that_a_device_can_show(points in any_points()) {
        let day = of(std::slice::from_ref(&points));
        if let Some(energy) = day.diverted {
            let most = 90_000 * i64::try_from(points.len()).unwrap();
            prop_assert!((0..=most).contains(&energy.0), "{energy:?}");
        }
        for border in day.borders {
            if let (Some(after), Some(until)) = (border.after, border.until) {
                prop_assert!(after < until);
            }
        }
    }

    #[test]
    fn neither_order_nor_repetition_changes_a_day(
        points in any_points(), half in 0_usize..120,
    ) {
        // Of two values of one time, either may stay: there is one a time here.
        let once: BTreeMap<_, _> = points.iter().map(|point| (point.time, *point)).collect();
        let mut again: Vec<_> = once.values().copied().collect();
        let half = half.min(again.len());
        again.rotate_left(half);
        let shuffled = [again.clone(), again];
        prop_assert_eq!(of(&shuffled), of(&[once.into_values().collect()]));
    }

    #[test]
    fn a_point_touches_the_dates_whose_windows_hold_it(
        second in -2_000_000_000_i64..4_000_000_000, zone in 0_usize..4,
    ) {
        let zone = ["Europe/London", "Pacific/Apia", "America/Santiago", "UTC"][zone];
        let tz = TimeZone::get(zone).unwrap();
        let time = Timestamp::from_second(second).unwrap();
        let here = time.to_zoned(tz.clone()).date();
        let expected: Vec<_> = here
            .checked_sub(SignedDuration::from_hours(240)).unwrap()
            .series(jiff::Span::new().days(1))
            .take(30)
            .filter(|date| window(*date, &tz).contains(&time))
            .collect();
        prop_assert!(expected.contains(&here));
        prop_assert_eq!(touched(time, &tz).collect::<Vec<_>>(), expected);
    }
}
