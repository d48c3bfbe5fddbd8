//! Each decoder against bytes written out by hand from the protocol's table.

use energi_decoders::frame::{MAGIC, RECORDS};
use energi_decoders::json::Json;
use energi_decoders::reading::MAX_FIELDS;
use energi_decoders::{DecoderTable, Frame, Reading, Switch, Trust};

/// A payload of one record of `length`, all zero but for its header and what `bytes` puts at
/// protocol offsets.
fn payload(length: u8, bytes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut payload = vec![0; RECORDS + usize::from(length)];
    payload[..4].copy_from_slice(&MAGIC);
    payload[0x14] = 1;
    payload[0x18] = length;
    payload[0x19] = 0x53;
    for (offset, bytes) in bytes {
        payload[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    payload
}

fn everything_on() -> DecoderTable {
    DecoderTable::built_in()
}

fn decode(payload: &[u8]) -> Reading {
    let table = everything_on();
    let frame = Frame::parse_payload(payload).unwrap();
    let record = frame.records().next().unwrap();
    // The decoder of its own length: these records are not of type 0x3510.
    table.decode(&record).flatten().next().unwrap()
}

/// The fields of the only record, as every output writes them.
fn fields(payload: &[u8]) -> String {
    let line = Json(&decode(payload)).to_string();
    let fields = line.split_once(r#""fields":"#).unwrap().1;
    fields[..fields.len() - 1].to_owned()
}

/// Serial number 17589669.
const SERIAL: [u8; 4] = [0xa5, 0x65, 0x0c, 0x01];

#[test]
fn eddi_data_1_gives_its_documented_fields() {
    let bytes = payload(
        0x1F,
        &[(0x1E, &SERIAL), (0x22, &[0x89, 0x13]), (0x2C, &[0x4b, 0x01]), (0x32, &[0x62, 0x09])],
    );
    assert_eq!(decode(&bytes).serial, 17_589_669);
    assert_eq!(fields(&bytes), r#"{"frequency":50.01,"diverted_kWh":3.31,"voltage":240.2}"#);
}

#[test]
fn eddi_data_1_reads_unsigned_to_the_limits() {
    let most: &[u8] = &[0xff, 0xff];
    let bytes = payload(0x1F, &[(0x22, most), (0x2C, most), (0x32, most)]);
    assert_eq!(fields(&bytes), r#"{"frequency":655.35,"diverted_kWh":655.35,"voltage":6553.5}"#);
    let none = payload(0x1F, &[]);
    assert_eq!(fields(&none), r#"{"frequency":0.0,"diverted_kWh":0.0,"voltage":0.0}"#);
}

#[test]
fn eddi_data_2_gives_what_the_diverter_does() {
    let bytes = payload(
        0x20,
        &[
            (0x1E, &SERIAL),
            (0x22, &[0x88, 0x13]),
            (0x26, &[0xb8, 0x0b]),
            (0x2C, &[0xf4, 0x01]),
            (0x34, &[0x9c, 0x04]),
            (0x36, &[0xea, 0x01]),
        ],
    );
    assert_eq!(
        fields(&bytes),
        concat!(
            r#"{"frequency":50.0,"stopped":false,"max_power":3000,"diverted_kWh":5.0,"#,
            r#""boost":false,"heater1":false,"heater2":false,"divert_pwr":1180,"divert_cur":4.9}"#
        )
    );
}

#[test]
fn each_flag_of_eddi_data_2_is_one_bit() {
    for (offset, bit, key) in
        [(0x25, 7, "stopped"), (0x2E, 4, "boost"), (0x2F, 0, "heater1"), (0x2F, 1, "heater2")]
    {
        let set = |byte: u8| {
            let reading = decode(&payload(0x20, &[(offset, &[byte])]));
            let on: Vec<_> = reading
                .fields()
                .filter(|(_, value)| value.to_string() == "true")
                .map(|(field, _)| field.key().to_owned())
                .collect();
            on
        };
        assert_eq!(set(1 << bit), [key]);
        assert!(!set(!(1 << bit)).contains(&key.to_owned()), "{key} is bit {bit} alone");
    }
}

#[test]
fn the_power_of_eddi_data_2_is_unsigned() {
    let most: &[u8] = &[0xff, 0xff];
    let reading = decode(&payload(0x20, &[(0x26, most), (0x34, most), (0x36, most)]));
    let value = |key| reading.get(key).unwrap().to_string();
    assert_eq!(value("max_power"), "65535");
    assert_eq!(value("divert_pwr"), "65535");
    assert_eq!(value("divert_cur"), "655.35");
}

#[test]
fn ct_readings_are_signed_watts() {
    let bytes = payload(
        0x22,
        &[(0x1E, &[0xf4, 0xff]), (0x22, &[0x07, 0x06]), (0x2E, &SERIAL), (0x32, &[0x9c, 0x04])],
    );
    assert_eq!(decode(&bytes).serial, 17_589_669);
    assert_eq!(fields(&bytes), r#"{"grid_pwr":-12,"gen_pwr":1543,"divert_pwr":1180}"#);
}

#[test]
fn ct_readings_reach_the_limits_of_sixteen_bits() {
    for (bytes, text) in [([0xff, 0x7f], "32767"), ([0x00, 0x80], "-32768"), ([0xff, 0xff], "-1")] {
        let reading = decode(&payload(0x22, &[(0x1E, &bytes), (0x22, &bytes), (0x32, &bytes)]));
        assert!(reading.fields().all(|(_, value)| value.to_string() == text));
    }
}

#[test]
fn experimental_fields_stand_where_the_protocol_says() {
    // Each byte holds its own offset, so that a value tells where it was read.
    let counting: Vec<u8> = (0..=0xff).collect();
    for (length, expected) in [
        (
            0x2B,
            r#"{"0x2B/frequency":89.94,"0x2B/diverted_kWh":115.64,"0x2B/grid_pwr":13620,"0x2B/gen_pwr":15676,"0x2B/divert_pwr":16961}"#,
        ),
        (
            0x27,
            r#"{"0x27/frequency":89.94,"0x27/diverted_kWh":115.64,"0x27/fw1":14648,"0x27/fw2":14134,"0x27/v1":61,"0x27/v2":60,"0x27/v3":15162,"0x27/v4":13620,"0x27/V5":13106,"0x27/v6":12592,"0x27/v7":12078}"#,
        ),
        (
            0x36,
            r#"{"0x36/v1":7452,"0x36/v2":7966,"0x36/v3":8480,"0x36/v4":8994,"0x36/v5":9508,"0x36/v6":12592,"0x36/v7":13620,"0x36/v8":14134,"0x36/v9":14648,"0x36/v10":15162,"0x36/v11":15676,"0x36/v12":16190,"0x36/v13":16704,"0x36/v14":17218,"0x36/v15":17732,"0x36/v16":18246,"0x36/v17":18760}"#,
        ),
        (
            0x37,
            r#"{"0x37/v1":20045,"0x37/v2":60,"0x37/v3":15162,"0x37/v4":13620,"0x37/V5":13106,"0x37/v6":12592,"0x37/v7":12078}"#,
        ),
        (
            0x38,
            r#"{"0x38/v1":8480,"0x38/v2":8994,"0x38/v3":9508,"0x38/v4":10022,"0x38/v5":10536,"0x38/v6":11050,"0x38/v7":11564,"0x38/v8":12078,"0x38/v9":12592,"0x38/v10":13106,"0x38/v11":13620,"0x38/v12":14134,"0x38/v13":14648,"0x38/v14":15162,"0x38/v15":15676,"0x38/v16":16190}"#,
        ),
        (
            0x3A,
            r#"{"0x3A/v2":8994,"0x3A/v3":9508,"0x3A/v4":10022,"0x3A/v5":10536,"0x3A/v6":11050,"0x3A/v7":11564,"0x3A/v8":12078,"0x3A/v9":12592,"0x3A/v10":13106,"0x3A/v11":13620,"0x3A/v12":14134,"0x3A/v13":14648,"0x3A/v14":17732,"0x3A/v15":17218}"#,
        ),
    ] {
        let end = RECORDS + usize::from(length);
        let bytes = payload(length, &[(0x1A, &counting[0x1A..end])]);
        let reading = decode(&bytes);
        assert!(reading.experimental());
        assert_eq!(fields(&bytes), expected, "{length:#04X}");
        let serial = if length == 0x36 { 0x4d4c_4b4a } else { 0x2120_1f1e };
        assert_eq!(reading.serial, serial, "{length:#04X}");
    }
}

#[test]
fn experimental_numbers_are_signed() {
    let reading = decode(&payload(0x27, &[(0x3C, &[0x80, 0xff]), (0x2E, &[0x00, 0x80])]));
    let value = |key| reading.get(key).unwrap().to_string();
    assert_eq!(value("0x27/v2"), "-128");
    assert_eq!(value("0x27/v1"), "-1");
    assert_eq!(value("0x27/v7"), "-32768");
}

#[test]
fn only_confirmed_decoders_are_on_by_default() {
    assert!(DecoderTable::confirmed().iter().all(|it| it.layout().status == Trust::Confirmed));
    for switch in Switch::all() {
        let mut table = DecoderTable::confirmed();
        let before = table.iter().count();
        table.switch_on(switch).unwrap();
        assert!(table.iter().count() > before, "{switch}");
        for decoder in table.iter().filter(|it| it.layout().status != Trust::Confirmed) {
            assert_eq!(decoder.layout().prefix(), switch.prefix());
        }
    }
}

#[test]
fn every_key_has_one_meaning() {
    let table = everything_on();
    let fields: Vec<_> = table
        .iter()
        .flat_map(|decoder| decoder.layout().fields.iter().map(move |field| (decoder, field)))
        .collect();
    for (decoder, field) in &fields {
        let layout = decoder.layout();
        let prefix = field.key().split_once('/').map_or("", |(prefix, _)| prefix);
        assert_eq!(prefix, layout.prefix(), "{}", field.key());
        assert_eq!(prefix.is_empty(), layout.status == Trust::Confirmed, "{}", field.key());
        assert!(layout.fields.len() <= MAX_FIELDS);
        for (_, other) in fields.iter().filter(|(_, other)| other.key() == field.key()) {
            assert_eq!(other.metric, field.metric);
            assert_eq!(other.is_integer(), field.is_integer());
        }
    }
}
