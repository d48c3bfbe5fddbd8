//! Promises of the views over a frame about good and about hostile bytes.

use energi_decoders::frame::{ETHERTYPE, MAGIC, MULTICAST, RECORDS};
use energi_decoders::{DecoderTable, Frame, FrameError, MacAddress};
use proptest::prelude::*;

const SOURCE: MacAddress = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5]);

/// An Ethernet frame with `tags` before the ethertype and `records` after the header.
fn frame(tags: &[u8], records: &[u8]) -> Vec<u8> {
    let mut frame = [MULTICAST.0, SOURCE.0].concat();
    frame.extend(tags);
    frame.extend(ETHERTYPE.to_be_bytes());
    let mut header = [0; RECORDS];
    header[..4].copy_from_slice(&MAGIC);
    header[0x14] = 1;
    frame.extend(header);
    frame.extend(records);
    frame
}

/// A record of `length` with `network` in its second byte.
fn record(length: u8, network: u8) -> Vec<u8> {
    let mut record = vec![0; usize::from(length)];
    record[..4].copy_from_slice(&[length, network, 0x08, 0x21]);
    record
}

fn lengths(bytes: &[u8]) -> Vec<u8> {
    Frame::parse(bytes).unwrap().records().map(|record| record.length()).collect()
}

#[test]
fn every_record_before_the_padding_is_read() {
    let chained = [record(0x1F, 0x53), record(0x22, 0x53), vec![0; 9]].concat();
    let bytes = frame(&[], &chained);
    assert_eq!(lengths(&bytes), [0x1F, 0x22]);
    let frame = Frame::parse(&bytes).unwrap();
    assert_eq!(frame.source(), Some(SOURCE));
    assert_eq!(frame.records().next().unwrap().record_type(), 0x2108);
}

#[test]
fn the_network_byte_may_be_anything() {
    for network in 0..=0xff {
        assert_eq!(lengths(&frame(&[], &record(0x22, network))), [0x22]);
    }
}

#[test]
fn vlan_tags_are_skipped() {
    let record = record(0x22, 0x53);
    assert_eq!(lengths(&frame(&[0x81, 0x00, 0x00, 0x0a], &record)), [0x22]);
    let both = [0x88, 0xa8, 0x00, 0x01, 0x81, 0x00, 0x00, 0x0a];
    assert_eq!(lengths(&frame(&both, &record)), [0x22]);
}

#[test]
fn a_damaged_end_leaves_the_records_before_it() {
    for (tail, rest) in [(vec![5, 0, 0, 0, 0], 5), (vec![0x22, 0x53], 2), (vec![0xff; 20], 20)] {
        let bytes = frame(&[], &[record(0x1F, 0x53), tail].concat());
        assert_eq!(lengths(&bytes), [0x1F]);
        let mut records = Frame::parse(&bytes).unwrap().records();
        records.by_ref().for_each(drop);
        assert_eq!(records.rest().len(), rest);
    }
}

#[test]
fn what_is_not_a_frame_is_refused_with_the_reason() {
    let whole = frame(&[], &record(0x22, 0x53));
    assert_eq!(Frame::parse(&whole[..13]).unwrap_err(), FrameError::Truncated(13));
    assert_eq!(Frame::parse(&whole[..14]).unwrap_err(), FrameError::Truncated(0));
    let first = |length| Frame::parse(&frame(&[], &[length, 0x53, 0, 0, 0, 0])).unwrap_err();
    assert_eq!(first(0), FrameError::Length { length: 0, available: 6 });
    assert_eq!(first(5), FrameError::Length { length: 5, available: 6 });
    assert_eq!(first(7), FrameError::Length { length: 7, available: 6 });
    let mut other = whole.clone();
    other[14] = 0;
    assert_eq!(Frame::parse(&other).unwrap_err(), FrameError::Magic);
    other[12] = 0x08;
    other[13] = 0x00;
    assert_eq!(Frame::parse(&other).unwrap_err(), FrameError::Ethertype(0x0800));
}

#[test]
fn a_frame_cut_off_never_yields_half_a_record() {
    let bytes = frame(&[], &[record(0x1F, 0x53), record(0x22, 0x53)].concat());
    for end in 0..bytes.len() {
        let whole = Frame::parse(&bytes[..end]).map_or(0, |frame| frame.records().count());
        let expected = usize::from(end >= 14 + RECORDS + 0x1F);
        assert_eq!(whole, expected, "{end} bytes");
    }
}

/// Walks everything that can be read of a packet.
fn walk(frame: &Frame<'_>) {
    let table = DecoderTable::built_in();
    for record in frame.records() {
        assert_eq!(usize::from(record.length()), record.bytes().len());
        for reading in table.decode(&record).flatten() {
            assert!(reading.fields().count() > 0);
        }
    }
}

#[test]
fn a_mac_address_is_six_pairs_of_hex_digits() {
    let ours = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5]);
    for text in ["70:b3:d5:0c:65:a5", "70-B3-D5-0C-65-A5"] {
        assert_eq!(text.parse(), Ok(ours));
    }
    for text in ["", "70:b3:d5:0c:65", "70:b3:d5:0c:65:a5:", "70:b3:d5:0c:65:+5", "70b3d50c65a5"] {
        let error = text.parse::<MacAddress>().unwrap_err().to_string();
        assert!(error.contains("six pairs"), "{error}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        if let Ok(frame) = Frame::parse(&bytes) {
            walk(&frame);
        }
        if let Ok(frame) = Frame::parse_payload(&bytes) {
            walk(&frame);
        }
    }

    #[test]
    fn random_records_behind_a_good_header_never_panic(
        records in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        if let Ok(frame) = Frame::parse(&frame(&[], &records)) {
            walk(&frame);
        }
    }

    #[test]
    fn the_text_of_a_mac_address_reads_back(octets in any::<[u8; 6]>()) {
        let mac = MacAddress(octets);
        prop_assert_eq!(mac.to_string().parse::<MacAddress>().unwrap(), mac);
    }
}
