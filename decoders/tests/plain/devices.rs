//! The records of an eddi, a zappi and a harvi on one network: each device's values under its own
//! keys, and nothing false under a confirmed one.

use energi_decoders::frame::{MAGIC, RECORDS};
use energi_decoders::layout::OTHERS;
use energi_decoders::product::ZAPPI_CLASS;
use energi_decoders::{Class, DecodeError, DecoderTable, Frame, Product, Reading, packets};
use proptest::prelude::*;

const ETHERNET: &str =
    "71b3d53a6f0070b3d53a600188b5cbdae9f80000000000000000000000000000000001000000";

const EDDI_CT1: &str = "2053103548ffb8f1990089132003b80b000004000902220108110000c8057602";
const EDDI_2_CTS: &str = "2b53103548ffb8f1990089132003b80b000004000902220108210100e2ff7800\
                          0831020034088403239006";
const HARVI_1_CT: &str = "1881303750ff3cc9f400d06ea20008110100780386010000";
const HARVI_2_CTS: &str = "2081303750ff3cc9f400d06ea20008110100780386010821010024fa8c020000";
const HARVI_3_CTS: &str = "2881303750ff3cc9f400d06ea20008110100780386010821010024fa8c02\
                           08310100fa0078000000";
const ZAPPI_FAST: &str = "2081103550ff3cc9f400831380bcc01c00000400d20421a108110200201cc20b";
const ZAPPI_2_CTS: &str = "2b81103550ff3cc9f40083138000c01c00000400d20421a20821010065130c08\
                           083102002802e60023b414";
const ZAPPI_3_CTS: &str = "3381103550ff3cc9f40083138000c01c00000400d20421a20821010065130c08\
                           083102002802e60008410300d4fc540123b414";
const ZAPPI_SUMMARY: &str =
    "2381013650ff68faffff28020000000000000000003cc9f400201c0000000000000000";
/// The mode after a command that was not accepted, boosting, at the end of the session's counter.
const ZAPPI_STOPPED: &str = "2081103550ff3cc9f400831380858813000004004fc3b0a0081102000000d000";
const MINUTE: &str = "36535a5a48ff010203040000000000000000000000000000e80300\
                      00000000000f098a134d01000000000000000000000000b8f19900";

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().unwrap()
}

fn readings_of(table: &DecoderTable, record: &str) -> Vec<Reading> {
    let frame = bytes(&format!("{ETHERNET}{record}"));
    let frame = Frame::parse(&frame).unwrap();
    let records: Vec<_> = frame.records().collect();
    let [record] = &records[..] else { panic!("one record a frame") };
    table.decode(record).flatten().collect()
}

/// Everything that is published of a record, `key value`, in order.
fn published(table: &DecoderTable, record: &str) -> Vec<String> {
    let readings = readings_of(table, record);
    let fields = readings.iter().flat_map(Reading::fields);
    fields.map(|(field, value)| format!("{} {value}", field.key())).collect()
}

fn holds(record: &str, expected: &[&str]) {
    let published = published(&DecoderTable::built_in(), record);
    for wanted in expected {
        assert!(published.iter().any(|said| said == wanted), "{wanted}: {published:#?}");
    }
}

#[test]
fn an_eddi_reads_the_same_beside_other_devices() {
    assert_eq!(
        published(&DecoderTable::confirmed(), EDDI_CT1),
        [
            "frequency 50.01",
            "stopped false",
            "max_power 3000",
            "diverted_kWh 5.21",
            "boost false",
            "heater1 true",
            "heater2 false",
            "divert_pwr 1480",
            "divert_cur 6.3",
        ]
    );
    assert_eq!(readings_of(&DecoderTable::confirmed(), EDDI_CT1)[0].product, Product::Eddi);
}

#[test]
fn a_zappi_or_harvi_has_no_confirmed_key() {
    let confirmed = DecoderTable::confirmed();
    for record in [
        EDDI_2_CTS,
        HARVI_1_CT,
        HARVI_2_CTS,
        HARVI_3_CTS,
        ZAPPI_FAST,
        ZAPPI_2_CTS,
        ZAPPI_3_CTS,
        ZAPPI_SUMMARY,
        ZAPPI_STOPPED,
        MINUTE,
    ] {
        assert_eq!(published(&confirmed, record), [""; 0], "{record}");
    }
}

#[test]
fn experimental_decoders_read_every_device() {
    holds(
        EDDI_CT1,
        &[
            "status/ct1_power 1480",
            "status/ct1_current 6.3",
            "status/priority 2",
            "eddi/priority heater 1",
            "eddi/check_period 15.0",
            "eddi/hot false",
        ],
    );
    holds(
        EDDI_2_CTS,
        &[
            "status/ct2_power -30",
            "status/ct3_power 2100",
            "status/tail 1680",
            "status/energy 5.21",
        ],
    );
    holds(
        ZAPPI_FAST,
        &[
            "zappi/mode fast",
            "zappi/charge_power 7200",
            "zappi/session_kWh 12.34",
            "zappi/command_answered true",
            "zappi/command_accepted true",
            "zappi/command_sequence 4",
        ],
    );
    holds(
        ZAPPI_STOPPED,
        &[
            "zappi/mode stop",
            "zappi/boosting true",
            "zappi/session_kWh 499.99",
            "zappi/command_answered true",
            "zappi/command_accepted false",
            "zappi/command_sequence 5",
        ],
    );
    holds(ZAPPI_2_CTS, &["zappi/mode eco", "status/ct2_power 4965", "status/ct3_power 552"]);
    holds(ZAPPI_3_CTS, &["zappi/mode eco", "status/ct4_power -812", "status/tail 5300"]);
    holds(ZAPPI_SUMMARY, &["zappi/grid_pwr -1432", "zappi/gen_pwr 552", "zappi/charge_power 7200"]);
    for record in [HARVI_1_CT, HARVI_2_CTS, HARVI_3_CTS] {
        holds(record, &["harvi/relay 16042300", "harvi/ct1_power 888"]);
    }
    holds(HARVI_2_CTS, &["harvi/ct2_power -1500", "harvi/ct2_current 6.52"]);
    holds(HARVI_3_CTS, &["harvi/ct2_power -1500", "harvi/ct3_power 250"]);
    holds(
        MINUTE,
        &[
            "minute_history/voltage 231.9",
            "minute_history/frequency 50.02",
            "minute_history/heatsink 33.3",
            "minute_history/generation 1000",
            "0x36/v9 2319",
        ],
    );
    let absent = published(&DecoderTable::built_in(), ZAPPI_2_CTS);
    assert!(!absent.iter().any(|said| said.contains("charge_power")), "no CT of channel 1");
}

#[test]
fn a_reading_knows_its_device() {
    let table = DecoderTable::built_in();
    for (record, product, serial) in [
        (EDDI_CT1, Product::Eddi, 10_088_888),
        (ZAPPI_FAST, Product::Zappi, 16_042_300),
        (ZAPPI_SUMMARY, Product::Zappi, 16_042_300),
        (HARVI_2_CTS, Product::Harvi, 10_645_200),
    ] {
        let readings = readings_of(&table, record);
        let known = |reading: &&Reading| reading.product != Product::Unknown;
        assert!(readings.iter().any(|reading| reading.product == product));
        assert!(readings.iter().filter(known).all(|reading| reading.product == product));
        assert!(readings.iter().all(|reading| reading.serial == serial));
        let relay = (product == Product::Harvi).then_some(16_042_300);
        assert!(readings.iter().all(|reading| reading.relay() == relay));
        assert!(readings.iter().all(|reading| usize::from(reading.packet()) == record.len() / 2));
    }
}

#[test]
fn the_power_of_a_zappi_is_not_diverted() {
    let confirmed = DecoderTable::confirmed();
    let record = |class: u8| {
        let mut record = [0; 0x22];
        record[..6].copy_from_slice(&[0x22, 0x53, 0x00, 0x36, class << 3, 0xFF]);
        record[6..8].copy_from_slice(&(-1432_i16).to_le_bytes());
        record[10..12].copy_from_slice(&552_i16.to_le_bytes());
        record[22..26].copy_from_slice(&16_042_300_u32.to_le_bytes());
        record[26..28].copy_from_slice(&1480_i16.to_le_bytes());
        let pairs: Vec<_> = record.iter().map(|byte| format!("{byte:02x}")).collect();
        pairs.concat()
    };
    for class in 0..8 {
        let mut expected = vec!["grid_pwr -1432", "gen_pwr 552"];
        if class != ZAPPI_CLASS {
            expected.push("divert_pwr 1480");
        }
        assert_eq!(published(&confirmed, &record(class)), expected, "class {class}");
    }
}

#[test]
fn a_device_listed_as_an_eddi_is_never_refused() {
    let listed = |product| DecoderTable::built_in().with_products([(16_042_300, product)]);
    let as_eddi = published(&listed(Product::Eddi), ZAPPI_FAST);
    assert!(as_eddi.iter().any(|said| said == "heater1 true"), "{as_eddi:?}");
    assert!(!as_eddi.iter().any(|said| said.starts_with("zappi/")), "{as_eddi:?}");
    let as_zappi = published(&listed(Product::Zappi), ZAPPI_FAST);
    assert_eq!(as_zappi, published(&DecoderTable::built_in(), ZAPPI_FAST));
    // And the other way round: an eddi's class is not known.
    let table = DecoderTable::built_in().with_products([(10_088_888, Product::Zappi)]);
    let as_zappi = published(&table, EDDI_CT1);
    assert!(as_zappi.iter().all(|said| said.contains('/')), "{as_zappi:?}");
    // A record type that is another's stays another's, whatever the device is.
    let table = DecoderTable::confirmed()
        .with_products([(10_645_200, Product::Eddi), (16_042_300, Product::Eddi)]);
    assert_eq!(published(&table, HARVI_2_CTS), [""; 0]);
}

#[test]
fn a_refusal_by_class_names_the_device() {
    let frame = bytes(&format!("{ETHERNET}{ZAPPI_FAST}"));
    let record = Frame::parse(&frame).unwrap().records().next().unwrap();
    let confirmed = DecoderTable::confirmed();
    let refused: Vec<_> = confirmed.decode(&record).filter_map(Result::err).collect();
    assert_eq!(refused, [DecodeError::Class { serial: 16_042_300, class: ZAPPI_CLASS }]);
}

/// A record of a length and type with random entries behind random fixed bytes.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![0x3510, 0x3600, 0x3601, 0x3730, 0x5A5A, 0x7979, 0x7C7C]);
    let kind = prop_oneof![3 => known, 1 => any::<u16>()];
    let entry = prop_oneof![
        (0..4_u8, any::<[u8; 6]>())
            .prop_map(|(channel, rest)| { [&[0x08, channel << 4 | 1][..], &rest].concat() }),
        any::<[u8; 2]>().prop_map(|volts| [&[0x14, 0x01][..], &volts].concat()),
        any::<[u8; 2]>().prop_map(|tail| [&[0x23][..], &tail].concat()),
        prop::collection::vec(any::<u8>(), 1..15),
    ];
    let body = (prop::collection::vec(any::<u8>(), 18), prop::collection::vec(entry, 0..6));
    let length = prop::sample::select(vec![0x18, 0x1F, 0x20, 0x22, 0x23, 0x27, 0x28, 0x2B, 0x36]);
    (kind, any::<u8>(), body, prop::option::of(length)).prop_map(|(kind, device, body, length)| {
        let (fixed, entries) = body;
        let [low, high] = kind.to_le_bytes();
        let mut record =
            [&[0, 0x53, low, high, device, 0xFF][..], &fixed, &entries.concat()].concat();
        record.resize(length.unwrap_or(record.len()), 0);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    })
}

proptest! {
    #[test]
    fn a_confirmed_key_is_never_another_devices(
        record in any_record(), listed in any::<bool>(),
    ) {
        let payload = [&MAGIC[..], &[0; RECORDS - MAGIC.len()], &record].concat();
        let frame = Frame::parse_payload(&payload).unwrap();
        let record = frame.records().next().unwrap();
        let mut table = DecoderTable::built_in();
        let all = [0x1E, 0x22, 0x2D, 0x2E, 0x4A].into_iter().filter_map(|at| record.at(at));
        if listed {
            table = table.with_products(all.map(|at| (u32::from_le_bytes(at), Product::Eddi)));
        }
        for reading in table.decode(&record).flatten() {
            let keys: Vec<_> = reading.fields().map(|(field, _)| field.key().to_owned()).collect();
            let confirmed: Vec<_> = keys.iter().filter(|key| !key.contains('/')).collect();
            prop_assert_eq!(reading.experimental(), confirmed.is_empty());
            if confirmed.is_empty() {
                continue;
            }
            prop_assert!(!OTHERS.contains(&record.record_type()), "{:?}", keys);
            if record.class() == ZAPPI_CLASS && !listed {
                let house = ["grid_pwr", "gen_pwr"];
                prop_assert!(confirmed.iter().all(|key| house.contains(&key.as_str())), "{:?}", keys);
            }
        }
    }
}

#[test]
fn every_word_of_an_enumeration_reads_back() {
    let fields = packets::all().flat_map(|layout| layout.fields.iter());
    for field in fields {
        let Class::Choice(words) = field.metric.class else { continue };
        for word in words {
            assert_eq!(packets::choice(word).unwrap().word(), *word, "{}", field.key());
        }
    }
    assert_eq!(packets::choice("no word of any device"), None);
}
