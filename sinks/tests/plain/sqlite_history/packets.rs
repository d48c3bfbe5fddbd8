//! A history keeps the packet of each reading, which an earlier release did not.

use std::sync::Arc;

use energi_decoders::{DecoderTable, Frame, Reading};
use energi_sinks::sqlite::StoredReadings;
use jiff::Timestamp;
use support::history::drop_packets;
use support::readings::SERIAL;

use super::place::{Place, Readings, at, hour};

/// What the decoders of any length read in an eddi's status record of a length.
fn status(time: &str, length: u8) -> Readings {
    let mut payload = vec![0; 0x18 + usize::from(length)];
    payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
    payload[0x18] = length;
    payload[0x1A..0x1C].copy_from_slice(&0x3510_u16.to_le_bytes());
    payload[0x1E..0x22].copy_from_slice(&SERIAL.to_le_bytes());
    // An entry for each CT, from the second channel on.
    for (ct, channel) in payload[0x30..].chunks_mut(8).zip([0x21, 0x31]) {
        ct.copy_from_slice(&[0x08, channel, 2, 1, 0xF4, 0x01, 0xD2, 0x00]);
    }
    let frame = Frame::parse_payload(&payload).unwrap();
    let record = frame.records().next().unwrap();
    let table = DecoderTable::built_in();
    let decoded = table.decode(&record).filter_map(Result::ok);
    let of_any_length = decoded.filter(|reading| reading.layout().length.is_none());
    let timed = of_any_length.map(|mut reading| {
        reading.time = Some(at(time));
        Arc::new(reading)
    });
    timed.collect()
}

/// An hour of confirmed packets, and status records of two lengths.
fn readings() -> Readings {
    let statuses = [status("2026-01-20T11:00:01Z", 0x20), status("2026-01-20T11:00:02Z", 0x28)];
    assert!(statuses.iter().all(|status| !status.is_empty()));
    [hour(), statuses.concat()].concat()
}

/// Time, first key and packet of each reading.
type Known = (Timestamp, String, Option<u8>);

fn known(place: &Place) -> Vec<Known> {
    let mut history = StoredReadings::open(&place.path()).unwrap();
    let mut pages = history.pages(at("2026-01-20T00:00:00Z")..at("2026-01-21T00:00:00Z"));
    let page = history.next(&mut pages, 100_000).unwrap();
    let mut known: Vec<Known> = page
        .iter()
        .map(|reading| {
            let (key, _) = reading.fields().next().unwrap();
            (reading.time, key.to_owned(), reading.packet)
        })
        .collect();
    known.sort();
    known
}

fn expected(readings: &[Arc<Reading>], of_any_length: bool) -> Vec<Known> {
    let mut known: Vec<Known> = readings
        .iter()
        .map(|reading| {
            let (field, _) = reading.fields().next().unwrap();
            let is_known = of_any_length || reading.layout().length.is_some();
            let packet = is_known.then(|| reading.packet());
            (reading.time.unwrap(), field.key().to_owned(), packet)
        })
        .collect();
    known.sort();
    known
}

#[tokio::test]
async fn a_history_keeps_the_packet_of_each_reading() {
    let place = Place::new();
    place.store(&readings()).await;
    assert_eq!(known(&place), expected(&readings(), true));
}

#[tokio::test]
async fn an_older_history_knows_packets_by_their_keys() {
    let place = Place::new();
    place.store(&readings()).await;
    drop_packets(&place.sql());
    assert_eq!(known(&place), expected(&readings(), false), "before the migration");
    place.store(&[]).await;
    assert_eq!(known(&place), expected(&readings(), false), "after the migration");
}

#[tokio::test]
async fn a_capture_adds_nothing_to_an_older_history_but_packets() {
    let place = Place::new();
    place.store(&readings()).await;
    let all = place.all();
    drop_packets(&place.sql());
    for _ in 0..2 {
        place.store(&readings()).await;
        assert_eq!(place.all(), all);
        assert_eq!(known(&place), expected(&readings(), true));
    }
    // A record of the same keys that comes later is a reading of its own.
    let later = status("2026-01-20T11:00:03Z", 0x20);
    place.store(&later).await;
    assert_eq!(known(&place), expected(&[readings(), later].concat(), true));
}
