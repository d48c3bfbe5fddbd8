//! Daily energy: what flowed, and whether the day was received.

use jiff::{SignedDuration, Timestamp};

use super::place::{Place, Readings, at, day, hours, rows};
use support::readings::{Device, SERIAL};

#[tokio::test]
async fn the_same_capture_twice_adds_nothing() {
    let place = Place::new();
    let readings = Device::default().life(at("2026-01-20T08:00:00Z"), hours(4));
    place.store(&readings).await;
    let once = place.all();
    place.store(&readings).await;
    assert_eq!(place.all(), once);
}

#[tokio::test]
async fn halves_in_reverse_order_give_the_same_days() {
    let readings = Device::default().life(at("2026-01-20T00:00:00Z"), hours(28));
    let (first, second) = readings.split_at(readings.len() / 2 + 7);
    let (whole, reversed) = (Place::new(), Place::new());
    whole.store(&readings).await;
    reversed.store(second).await;
    reversed.store(first).await;
    let expected = whole.all();
    let found = reversed.all();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let (diverted, .., complete) = day(&whole, "2026-01-20").unwrap();
    assert_eq!((diverted, complete), (Some(9.0), 1));
}

#[tokio::test]
async fn a_day_has_the_energy_that_flowed() {
    let place = Place::new();
    let device = Device::default();
    let start = at("2026-01-20T12:00:00Z");
    let seconds = |n| start + SignedDuration::from_secs(n);
    place
        .store(&[
            device.powers(seconds(0), 3600, -40, 0), // 10 s: 10 Wh in, the inverter draws
            device.powers(seconds(10), -1800, 7200, 0), // 20 s: 10 Wh out, 40 Wh made
            device.powers(seconds(30), 7200, 0, 0),  // then silence: 60 s, 120 Wh
            device.powers(seconds(600), 0, 0, 0),
        ])
        .await;
    let (diverted, import, export, generation, complete) = day(&place, "2026-01-20").unwrap();
    assert_eq!((diverted, complete), (None, 0));
    assert_eq!((import, export, generation), (Some(0.13), Some(0.01), Some(0.04)));
}

#[tokio::test]
async fn energy_that_was_not_received_is_unknown() {
    let place = Place::new();
    let device = Device::default();
    let start = at("2026-01-20T12:00:00Z");
    let mains: Readings = (0..20)
        .map(|n| device.mains(start + SignedDuration::from_secs(24 * n), 5000, 120, 2400))
        .collect();
    place.store(&mains).await;
    let (diverted, import, export, generation, _) = day(&place, "2026-01-20").unwrap();
    assert!(diverted.is_some());
    assert_eq!((import, export, generation), (None, None, None));
    assert!(day(&place, "2026-01-19").is_none() && day(&place, "2026-01-21").is_none());
}

/// Frames every 30 s are enough for a test of completeness.
fn sparse(device: &Device, start: Timestamp, end: Timestamp) -> Readings {
    let count = (end.as_second() - start.as_second()) / 30;
    (0..count)
        .map(|n| device.mains(start + SignedDuration::from_secs(30 * n), 5000, 0, 2400))
        .collect()
}

#[tokio::test]
async fn days_of_23_or_25_hours_can_be_complete() {
    for (date, start, end) in [
        ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-30T00:00:00Z"),
        ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-26T01:00:00Z"),
    ] {
        let place = Place::new();
        place.store(&sparse(&Device::default(), at(start), at(end))).await;
        assert_eq!(day(&place, date).unwrap().4, 1, "{date}");
    }
}

#[tokio::test]
async fn a_day_lacking_over_one_per_cent_is_incomplete() {
    let device = Device::default();
    for (gap, complete) in [("12:13:30", 1), ("12:14:00", 0)] {
        let place = Place::new();
        let mut readings = sparse(&device, at("2026-01-19T23:00:00Z"), at("2026-01-20T12:00:00Z"));
        let again = at(&format!("2026-01-20T{gap}Z"));
        readings.extend(sparse(&device, again, at("2026-01-21T01:00:00Z")));
        place.store(&readings).await;
        assert_eq!(day(&place, "2026-01-20").unwrap().4, complete, "until {gap}");
    }
}

#[tokio::test]
async fn a_day_whose_border_lies_in_a_gap_is_not_complete() {
    let place = Place::new();
    let device = Device::default();
    let mut readings = sparse(&device, at("2026-01-19T23:00:00Z"), at("2026-01-20T23:57:00Z"));
    readings.extend(sparse(&device, at("2026-01-21T00:03:00Z"), at("2026-01-22T01:00:00Z")));
    place.store(&readings).await;
    assert_eq!(day(&place, "2026-01-20").unwrap().4, 0);
    assert_eq!(day(&place, "2026-01-21").unwrap().4, 0);
}

#[tokio::test]
async fn a_gap_over_a_reset_costs_only_the_day_that_ends() {
    let place = Place::new();
    let device = Device::default();
    let mut readings = device.life(at("2026-01-18T23:00:00Z"), SignedDuration::from_mins(1498));
    readings.extend(device.life(at("2026-01-20T00:03:00Z"), SignedDuration::from_mins(1437)));
    readings.extend(device.life(at("2026-01-21T00:00:00Z"), hours(1)));
    place.store(&readings).await;
    assert_eq!(day(&place, "2026-01-19").unwrap().4, 0);
    assert_eq!(day(&place, "2026-01-20").unwrap().4, 1);
}

#[tokio::test]
async fn a_gap_into_the_next_day_leaves_a_day_incomplete() {
    let device = Device::default();
    let before = sparse(&device, at("2026-01-19T23:00:00Z"), at("2026-01-20T23:59:30Z"));
    // However long nothing was received: what the reset in between took is not known.
    for again in ["2026-01-21T02:30:00Z", "2026-01-21T03:30:00Z", "2026-02-20T00:00:20Z"] {
        let after = sparse(&device, at(again), at(again) + hours(24));
        for order in [[&before, &after], [&after, &before]] {
            let place = Place::new();
            for capture in order {
                place.store(capture).await;
            }
            assert_eq!(day(&place, "2026-01-20").unwrap().4, 0, "again from {again}");
            // The border at which this one begins lies in the gap as well.
            if again.starts_with("2026-02-20") {
                assert_eq!(day(&place, "2026-02-20").unwrap().4, 0);
            }
        }
    }
    let place = Place::new();
    place.store(&before).await;
    assert_eq!(day(&place, "2026-01-20").unwrap().4, 1, "nothing says that there was a gap");
}

#[tokio::test]
async fn an_unseen_restart_leaves_its_day_incomplete() {
    let device = Device::default();
    let noon = at("2026-01-20T12:00:00Z");
    for (gap, complete) in [(60, 1), (90, 0), (600, 0)] {
        let again = noon + SignedDuration::from_secs(gap - 30);
        let mut readings = sparse(&device, at("2026-01-19T23:00:00Z"), at("2026-01-20T09:00:00Z"));
        // A step every 30 s, up to so many.
        let counting = |start, end, most: u16| {
            let times = sparse(&device, start, end).into_iter().filter_map(|frame| frame.time);
            let steps = (0..most).chain(std::iter::repeat(most));
            let frames = times.zip(steps).map(|(time, step)| device.mains(time, 5000, step, 2400));
            frames.collect::<Readings>()
        };
        readings.extend(counting(at("2026-01-20T09:00:00Z"), noon, 400));
        readings.extend(counting(again, at("2026-01-21T00:00:00Z"), 150));
        readings.extend(sparse(&device, at("2026-01-21T00:00:00Z"), at("2026-01-21T01:00:00Z")));
        let place = Place::new();
        place.store(&readings).await;
        let (diverted, .., found) = day(&place, "2026-01-20").unwrap();
        assert_eq!((diverted, found), (Some(5.09), complete), "unheard for {gap} s");
    }
}

#[tokio::test]
async fn one_whole_day_by_itself_is_complete() {
    let place = Place::new();
    place.store(&Device::default().life(at("2026-01-20T00:00:00Z"), hours(24))).await;
    let (diverted, import, export, generation, complete) = day(&place, "2026-01-20").unwrap();
    assert_eq!((diverted, complete), (Some(9.0), 1));
    assert!(import.unwrap() > 1.0 && export.unwrap() > 1.0 && generation.unwrap() > 10.0);
}

#[tokio::test]
async fn devices_do_not_mix() {
    let place = Place::new();
    let start = at("2026-01-20T10:00:00Z");
    let mut readings = Device::default().life(start, hours(1));
    let alone = Place::new();
    alone.store(&readings).await;
    readings.extend(Device::new(7).life(start, hours(1)));
    readings.sort_by_key(|reading| reading.time);
    place.store(&readings).await;
    assert_eq!(day(&place, "2026-01-20"), day(&alone, "2026-01-20"));
    let means = format!("SELECT * FROM minute WHERE serial = {SERIAL} ORDER BY time, key");
    assert_eq!(rows(&place.sql(), &means), rows(&alone.sql(), &means));
}

#[tokio::test]
async fn another_time_zone_counts_all_days_again() {
    let readings = Device::default().life(at("2026-01-19T20:00:00Z"), hours(50));
    let (mut moved, mut stayed) = (Place::new(), Place::new());
    moved.store(&readings).await;
    let before = moved.all();
    (moved.timezone, stayed.timezone) = ("Asia/Kolkata", "Asia/Kolkata");
    stayed.store(&readings).await;
    // Nothing new comes: it is enough to open it.
    moved.store(&[]).await;
    assert_eq!(moved.all(), stayed.all());
    assert_ne!(moved.all(), before);
    moved.timezone = "Europe/London";
    moved.store(&[]).await;
    assert_eq!(moved.all(), before);
}
