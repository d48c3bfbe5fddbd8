//! The views, and how long single readings stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use energi_sinks::channel::Publisher;
use energi_sinks::runner::{RetryPolicy, Runner};
use energi_sinks::settings::Period;
use energi_sinks::stats::SinkStats;
use jiff::Timestamp;

use super::place::{Place, Readings, at, day, hour, hours, rows};
use support::readings::{Device, SERIAL};

#[tokio::test]
async fn samples_are_what_the_readings_said() {
    let place = Place::new();
    let readings = Device::default().life(at("2026-01-20T10:00:00Z"), hours(1));
    place.store(&readings).await;
    let mut expected: Vec<(i64, String, f64)> = readings
        .iter()
        .flat_map(|reading| {
            let time = reading.time.unwrap().as_millisecond();
            reading.fields().map(move |(f, value)| (time, f.key().to_owned(), value.as_f64()))
        })
        .collect();
    let connection = place.sql();
    let mut select = connection
        .prepare(
            "SELECT time, key, value FROM sample WHERE serial = ?1 AND time BETWEEN 0 AND 9e15",
        )
        .unwrap();
    let mut found: Vec<(i64, String, f64)> = select
        .query_map([SERIAL], |row| {
            let value = match row.get_ref(2)? {
                rusqlite::types::ValueRef::Integer(value) => value as f64,
                _ => row.get(2)?,
            };
            Ok((row.get(0)?, row.get(1)?, value))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let order = |a: &(i64, String, f64), b: &(i64, String, f64)| a.partial_cmp(b).unwrap();
    expected.sort_by(order);
    found.sort_by(order);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_minute_is_the_mean_of_its_samples() {
    let place = Place::new();
    let device = Device::default();
    let mut readings = device.life(at("2026-01-20T10:00:30Z"), hours(1));
    readings.extend(device.life(at("2026-01-20T11:10:00Z"), hours(1)));
    place.store(&readings).await;
    let mut naive: BTreeMap<(i64, String), Vec<f64>> = BTreeMap::new();
    for reading in &readings {
        let time = reading.time.unwrap().as_millisecond();
        for (field, value) in reading.fields() {
            let minute = (time / 60_000 * 60_000, field.key().to_owned());
            naive.entry(minute).or_default().push(value.as_f64());
        }
    }
    let connection = place.sql();
    let mut select =
        connection.prepare("SELECT time, key, mean FROM minute WHERE serial = ?1").unwrap();
    let found: BTreeMap<(i64, String), f64> = select
        .query_map([SERIAL], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), naive.keys().collect::<Vec<_>>());
    for (minute, values) in naive {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((found[&minute] - mean).abs() < 1e-9, "{minute:?}: {} not {mean}", found[&minute]);
    }
}

#[tokio::test]
async fn only_samples_are_removed_with_age() {
    let mut place = Place::new();
    let readings = Device::default().life(at("2026-01-20T00:00:00Z"), hours(50));
    place.store(&readings).await;
    let (for_ever, samples) = (place.for_ever(), rows(&place.sql(), "SELECT count(*) FROM sample"));
    place.keep = Period::from_days(1);
    place.store(&readings[readings.len() - 1..]).await;
    assert_eq!(place.for_ever(), for_ever);
    let connection = place.sql();
    let (oldest, newest, left): (i64, i64, i64) = connection
        .query_row("SELECT min(time), max(time), count(*) FROM sample", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    let day = 86_400_000;
    assert!(oldest >= newest - day && oldest < newest - day + 3_000, "from {oldest} to {newest}");
    assert_ne!(samples, [format!("Integer({left})")]);
}

#[tokio::test]
async fn an_old_capture_counts_without_its_samples() {
    let device = Device::default();
    let old = device.life(at("2025-06-20T00:00:00Z"), hours(24));
    let new = device.life(at("2026-01-20T10:07:00Z"), hours(1));
    let (old_only, both) = (Place::new(), Place::new());
    old_only.store(&old).await;
    both.store(&new).await;
    both.store(&old).await;
    assert_eq!(day(&both, "2025-06-20"), day(&old_only, "2025-06-20"));
    let means = "SELECT * FROM minute WHERE time < 1760000000000 ORDER BY 1, 2, 3";
    assert_eq!(rows(&both.sql(), means), rows(&old_only.sql(), means));
    let left = "SELECT count(*) FROM sample WHERE time < 1760000000000";
    assert_eq!(rows(&both.sql(), left), ["Integer(0)"]);
    // A part of it once more takes nothing away.
    let before = both.for_ever();
    both.store(&old[1_000..1_500]).await;
    assert_eq!(both.for_ever(), before);
}

#[tokio::test]
async fn old_captures_in_sequence_count_as_one() {
    let device = Device::default();
    let old = device.life(at("2025-06-20T10:00:00Z"), hours(2));
    let new = device.life(at("2026-01-20T10:07:00Z"), hours(1));
    let whole = Place::new();
    whole.store(&new).await;
    whole.store(&old).await;
    let (_, import, export, generation, _) = day(&whole, "2025-06-20").unwrap();
    // Files of ten minutes, and a cut within the minute before a quarter's border.
    let files: Vec<_> = old.chunks(373).collect();
    let orders: [Vec<usize>; 3] = [
        (0..files.len()).collect(),
        (0..files.len()).rev().collect(),
        (0..files.len()).step_by(2).chain((0..files.len()).skip(1).step_by(2)).collect(),
    ];
    for order in orders {
        let parts = Place::new();
        parts.store(&new).await;
        for file in &order {
            parts.store(files[*file]).await;
        }
        let near = |found: Option<f64>, expected: Option<f64>| {
            let (found, expected) = (found.unwrap(), expected.unwrap());
            assert!((found - expected).abs() < 0.000_1, "{found} not {expected}: {order:?}");
        };
        let found = day(&parts, "2025-06-20").unwrap();
        near(found.1, import);
        near(found.2, export);
        near(found.3, generation);
        // Any of them once more adds nothing.
        for file in [0, 7, files.len() - 1] {
            parts.store(files[file]).await;
        }
        assert_eq!(day(&parts, "2025-06-20").unwrap(), found);
        // Nor does the whole, which has the last word.
        parts.store(&old).await;
        assert_eq!(day(&parts, "2025-06-20"), day(&whole, "2025-06-20"));
    }
}

#[tokio::test]
async fn two_records_of_one_frame_are_both_kept() {
    let place = Place::new();
    let device = Device::default();
    let time = at("2026-01-20T12:00:00.000001Z");
    place.store(&[device.powers(time, 1, 2, 3), device.powers(time, 4, 5, 6)]).await;
    let found = rows(&place.sql(), "SELECT value FROM sample WHERE key = 'grid_pwr' ORDER BY 1");
    assert_eq!(found, ["Integer(1)", "Integer(4)"]);
}

#[tokio::test]
async fn readings_without_a_possible_time_are_skipped() {
    let mut place = Place::new();
    place.keep = Period::from_days(365_000);
    let device = Device::default();
    let mut timeless = (*device.powers(at("2026-01-20T10:00:00Z"), 1, 2, 3)).clone();
    timeless.time = None;
    let times =
        [Timestamp::MIN, Timestamp::MAX, at("9999-06-01T00:00:00Z"), at("1969-01-01T00:00:00Z")];
    let mut readings: Readings = times.map(|time| device.powers(time, 1, 2, 3)).into();
    readings.push(Arc::new(timeless));
    readings.push(device.powers(at("8999-12-31T23:59:00Z"), 7, 8, 9));
    readings.push(device.mains(at("1970-01-02T00:00:00Z"), 5000, 0, 2400));
    place.store(&readings).await;
    assert_eq!(rows(&place.sql(), "SELECT count(DISTINCT time) FROM sample"), ["Integer(2)"]);
}

#[tokio::test]
async fn skipped_readings_do_not_count_as_written() {
    let place = Place::new();
    let device = Device::default();
    let publisher = Publisher::default();
    let stats = Arc::new(SinkStats::default());
    let runner = Runner::new(
        Arc::new(place.config()),
        place.context(),
        publisher.hub().subscribe().unwrap(),
        Arc::clone(&stats),
        RetryPolicy::Attempts(1),
    );
    let mut timeless = (*device.powers(at("2026-01-20T10:00:00Z"), 1, 2, 3)).clone();
    timeless.time = None;
    publisher.publish(Arc::new(timeless));
    publisher.publish(device.powers(at("2026-01-20T10:00:00Z"), 1, 2, 3));
    drop(publisher);
    runner.run().await.unwrap();
    assert_eq!((stats.delivered.get(), stats.skipped.get(), stats.rejected.get()), (1, 1, 0));
    assert_eq!(stats.received.get(), stats.taken.get());
}

#[tokio::test]
async fn a_clock_before_the_release_stores_nothing() {
    let mut place = Place::new();
    let device = Device::default();
    let readings = [
        device.powers(at("1999-01-01T00:00:00Z"), 1, 2, 3),
        device.powers(Timestamp::now(), 4, 5, 6),
    ];
    (place.live, place.keep) = (true, Period::from_days(365_000));
    place.store(&readings).await;
    assert_eq!(rows(&place.sql(), "SELECT count(DISTINCT time) FROM sample"), ["Integer(1)"]);
    place.live = false;
    place.store(&readings).await;
    assert_eq!(rows(&place.sql(), "SELECT count(DISTINCT time) FROM sample"), ["Integer(2)"]);
}

#[tokio::test]
async fn an_old_command_line_reads_the_public_tables() {
    let place = Place::new();
    place.store(&hour()).await;
    let output = std::process::Command::new("sqlite3")
        .arg(place.path())
        .arg(format!(
            "SELECT count(*) FROM sample WHERE serial = {SERIAL} AND key = 'voltage';
             SELECT count(*) FROM minute WHERE key = 'voltage';
             SELECT date FROM daily_energy;"
        ))
        .output();
    let Ok(output) = output else { return support::skip::skip("sqlite3 is not installed") };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "150\n60\n2026-01-20\n");
}

#[tokio::test]
async fn a_range_of_one_metric_is_found_by_index() {
    let place = Place::new();
    place.store(&hour()).await;
    for view in ["sample", "minute"] {
        let plan = rows(
            &place.sql(),
            &format!(
                "EXPLAIN QUERY PLAN SELECT * FROM {view}
                 WHERE serial = 1 AND key = 'voltage' AND time BETWEEN 1 AND 2 ORDER BY time"
            ),
        );
        let plan: String = plan
            .iter()
            .map(|row| {
                let bytes = row.rsplit("Text([").next().unwrap().trim_end_matches("])");
                bytes
                    .split(", ")
                    .filter_map(|byte| byte.parse::<u8>().ok())
                    .map(char::from)
                    .collect::<String>()
                    + "; "
            })
            .collect();
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{view}: {plan}");
    }
}
