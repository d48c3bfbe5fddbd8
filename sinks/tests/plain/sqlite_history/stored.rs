//! Readings come out of a history as they went in.

use energi_decoders::{Reading, Value};
use energi_sinks::sqlite::{ReadError, StoredReading, StoredReadings, VERSION};
use jiff::Timestamp;

use super::place::{Place, Readings, at, hour};
use support::readings::{Device, SERIAL};

type Plain = (Timestamp, u32, Vec<(String, Value)>);

fn plain(reading: &Reading) -> Plain {
    let fields = reading.fields().map(|(field, value)| (field.key().to_owned(), value));
    (reading.time.unwrap(), reading.serial, fields.collect())
}

fn stored(reading: &StoredReading) -> Plain {
    let fields = reading.fields().map(|(key, value)| (key.to_owned(), value));
    (reading.time, reading.serial, fields.collect())
}

fn read(readings: &mut StoredReadings, from: &str, until: &str, limit: usize) -> Vec<Plain> {
    let mut pages = readings.pages(at(from)..at(until));
    let mut all = Vec::new();
    loop {
        let page = readings.next(&mut pages, limit).unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page.iter().map(stored));
    }
}

/// An hour of two devices, and two records of one frame.
fn two_devices() -> Readings {
    let (first, second) = (Device::default(), Device::new(SERIAL + 1));
    let time = at("2026-01-20T11:00:00.000999Z");
    let mut all = hour();
    all.extend([first.powers(time, 1, 2, 3), first.powers(time, 4, 5, 6)]);
    all.extend([second.diverter(time, 100, 2_000), second.mains(time, 4_998, 100, 2_401)]);
    all
}

#[tokio::test]
async fn readings_come_back_as_they_were() {
    let place = Place::new();
    let readings = two_devices();
    place.store(&readings).await;
    let expected: Vec<Plain> = readings.iter().map(|reading| plain(reading)).collect();
    let mut history = StoredReadings::open(&place.path()).unwrap();
    for limit in [1, 7, 500, 100_000] {
        let found = read(&mut history, "2026-01-20T00:00:00Z", "2026-01-21T00:00:00Z", limit);
        let key = |plain: &Plain| (plain.1, plain.0);
        assert!(found.is_sorted_by_key(key), "a device after the other, each in its time");
        assert_eq!(found.len(), expected.len(), "{limit}");
        assert!(expected.iter().all(|reading| found.contains(reading)), "{limit}");
    }
}

#[tokio::test]
async fn a_span_excludes_its_end() {
    let place = Place::new();
    place.store(&two_devices()).await;
    let mut history = StoredReadings::open(&place.path()).unwrap();
    let at_eleven = ("2026-01-20T11:00:00Z", "2026-01-20T11:00:00.001Z");
    assert_eq!(read(&mut history, at_eleven.0, at_eleven.1, 10).len(), 4);
    assert_eq!(read(&mut history, at_eleven.1, "2026-01-21T00:00:00Z", 10), []);
    let last = history.last_before(at("2027-01-01T00:00:00Z")).unwrap();
    assert_eq!(last, Some(at(at_eleven.0)));
    let first = history.first_from(at("2026-01-20T10:30:00Z")).unwrap().unwrap();
    assert!(first < at("2026-01-20T10:30:03Z"), "{first}");
    assert_eq!(history.first_from(at(at_eleven.1)).unwrap(), None);

    let mut second = StoredReadings::open(&place.path()).unwrap().of(&[SERIAL + 1]);
    assert_eq!(read(&mut second, "2026-01-20T00:00:00Z", at_eleven.1, 10).len(), 2);
    let none = StoredReadings::open(&place.path()).unwrap().of(&[1]);
    assert_eq!(none.first_from(Timestamp::UNIX_EPOCH).unwrap(), None);
}

#[tokio::test]
async fn a_history_is_read_while_it_is_written() {
    let place = Place::new();
    let readings = hour();
    let (before, after) = readings.split_at(1_000);
    place.store(before).await;
    let mut writer = place.open().await.unwrap();
    let mut history = StoredReadings::open(&place.path()).unwrap();
    let mut pages = history.pages(at("2026-01-20T00:00:00Z")..at("2026-01-21T00:00:00Z"));
    let mut found = history.next(&mut pages, 10).unwrap();
    writer.write(after).await.unwrap();
    // A reader between two pages keeps nothing of the log from being taken into the file.
    let log: (i64, i64, i64) = place
        .sql()
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((log.0, log.1), (0, log.2));
    found.extend(history.next(&mut pages, 100_000).unwrap());
    let found: Vec<Plain> = found.iter().map(stored).collect();
    assert_eq!(found, readings.iter().map(|reading| plain(reading)).collect::<Vec<_>>());
    writer.close().await.unwrap();
}

#[tokio::test]
async fn an_unknown_history_is_refused() {
    let place = Place::new();
    place.sql().execute_batch("CREATE TABLE shopping (item TEXT)").unwrap();
    let refused = |place: &Place| match StoredReadings::open(&place.path()) {
        Err(ReadError::Data(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&place).contains("another program"));

    let place = Place::new();
    place.store(&hour()).await;
    place.sql().pragma_update(None, "user_version", VERSION + 1).unwrap();
    assert!(refused(&place).contains("update energi-gateway"));

    let place = Place::new();
    place.store(&hour()).await;
    place.sql().execute("UPDATE reading SET vals = '[1,' WHERE us >= 0", []).unwrap();
    let mut history = StoredReadings::open(&place.path()).unwrap();
    let mut pages = history.pages(at("2026-01-20T00:00:00Z")..at("2026-01-21T00:00:00Z"));
    let damaged = history.next(&mut pages, 10).unwrap_err().to_string();
    assert!(damaged.contains("damaged"), "{damaged}");
}
