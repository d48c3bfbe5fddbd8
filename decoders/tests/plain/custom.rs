//! Decoders declared in the configuration: what they read, and what they may not be.

use energi_decoders::custom::{CustomDecoder, CustomField, Hex, NumberType};
use energi_decoders::frame::{MAGIC, RECORDS};
use energi_decoders::json::Json;
use energi_decoders::{DecoderTable, Frame, RegisterError, TableDecoder};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};

fn field(key: &str, offset: u8, raw: NumberType) -> CustomField {
    CustomField {
        key: key.to_owned(),
        offset: Hex(offset),
        raw: Some(raw),
        bit: None,
        divide: 1.0,
        add: 0.0,
        unit: String::new(),
        range: None,
    }
}

fn decoder(length: u8, name: &str, fields: Vec<CustomField>) -> CustomDecoder {
    let name = name.to_owned();
    CustomDecoder { length: Hex(length), name, record_type: None, serial: Hex(0x1E), fields }
}

fn register(table: &mut DecoderTable, decoder: &CustomDecoder) -> Result<(), RegisterError> {
    table.register(Box::new(TableDecoder::new(decoder.layout().unwrap())))
}

/// Every reading of a payload of one record with `bytes` at protocol offsets, as JSON fields.
fn decode(table: &DecoderTable, length: u8, bytes: &[(usize, &[u8])]) -> Vec<String> {
    let mut payload = vec![0; RECORDS + usize::from(length)];
    payload[..4].copy_from_slice(&MAGIC);
    payload[0x18] = length;
    for (offset, bytes) in bytes {
        payload[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    let frame = Frame::parse_payload(&payload).unwrap();
    let record = frame.records().next().unwrap();
    let readings = table.decoders(&record).iter().filter_map(|it| it.decode(&record).ok());
    readings
        .map(|reading| {
            let line = Json(&reading).to_string();
            line.split_once(r#""experimental":"#).unwrap().1.to_owned()
        })
        .collect()
}

#[test]
fn every_type_is_read_to_its_limits() {
    use NumberType::{I8, I16, I32, U8, U16, U32};
    let types = [("u8", U8), ("i8", I8), ("u16", U16), ("i16", I16), ("u32", U32), ("i32", I32)];
    let fields = types.map(|(key, raw)| field(key, 0x22, raw)).to_vec();
    let mut table = DecoderTable::confirmed();
    register(&mut table, &decoder(0x2C, "limits", fields)).unwrap();
    for (bytes, expected) in [
        ([0xff, 0xff, 0xff, 0xff], "255,-1,65535,-1,4294967295,-1"),
        ([0x80, 0x80, 0x00, 0x80], "128,-128,32896,-32640,2147516544,-2147450752"),
        ([0x00, 0x80, 0x00, 0x80], "0,0,32768,-32768,2147516416,-2147450880"),
        ([0xff, 0x7f, 0xff, 0x7f], "255,-1,32767,32767,2147450879,2147450879"),
    ] {
        let [line] = &decode(&table, 0x2C, &[(0x22, &bytes)])[..] else { panic!() };
        let values: Vec<_> = line
            .split([',', '}'])
            .filter_map(|part| part.rsplit_once(':').map(|(_, value)| value))
            .collect();
        assert_eq!(values.join(","), expected);
    }
}

#[test]
fn a_number_is_written_in_hex_or_as_it_is_and_without_a_sign() {
    let read = |text: &str| {
        let text: StrDeserializer<'_, value::Error> = text.into_deserializer();
        Hex::<u8>::deserialize(text)
    };
    for (text, number) in [("0x2C", 0x2C), ("0X2c", 0x2C), ("44", 44), ("0xFF", 255)] {
        assert_eq!(read(text), Ok(Hex(number)), "{text}");
    }
    for text in ["", "0x", "2C", "0x100", "256", "+44", "0x+2C", "-1", "0x2C "] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("a number of 8 bits such as \"0x2C\" or 44"), "{error}");
    }
}

#[test]
fn a_value_is_the_raw_number_divided_then_added_to() {
    let mut tank = field("tank_temp", 0x30, NumberType::I16);
    (tank.divide, tank.add, tank.unit) = (10.0, -40.0, "°C".to_owned());
    let mut hot = field("hot", 0x32, NumberType::U8);
    (hot.raw, hot.bit) = (None, Some(3));
    let mut table = DecoderTable::confirmed();
    register(&mut table, &decoder(0x2C, "boiler", vec![tank, hot])).unwrap();
    assert_eq!(
        decode(&table, 0x2C, &[(0x30, &[0xe9, 0x03]), (0x32, &[0x08])]),
        [r#"true,"fields":{"0x2C/tank_temp":60.099999999999994,"0x2C/hot":true}}"#]
    );
}

#[test]
fn it_yields_a_reading_of_its_own_after_the_built_in_one() {
    let mine = decoder(0x27, "mine", vec![field("tank_temp", 0x30, NumberType::U8)]);
    let mut table = DecoderTable::confirmed();
    table.switch_on(0x27).unwrap();
    register(&mut table, &mine).unwrap();
    let lines = decode(&table, 0x27, &[(0x30, &[42])]);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""0x27/frequency":0.0"#));
    assert_eq!(lines[1], r#"true,"fields":{"0x27/tank_temp":42}}"#);
}

#[test]
fn a_record_type_tells_decoders_of_one_length_apart() {
    let mut one = decoder(0x2C, "one", vec![field("one", 0x30, NumberType::U8)]);
    one.record_type = Some(Hex(0x2108));
    let mut two = decoder(0x2C, "two", vec![field("two", 0x30, NumberType::U8)]);
    two.record_type = Some(Hex(0x006C));
    let mut table = DecoderTable::confirmed();
    register(&mut table, &one).unwrap();
    register(&mut table, &two).unwrap();
    assert_eq!(
        decode(&table, 0x2C, &[(0x1A, &[0x08, 0x21]), (0x30, &[7])]),
        [r#"true,"fields":{"0x2C/one":7}}"#]
    );
    let error = register(&mut table, &two).unwrap_err().to_string();
    assert!(error.contains("record types"), "{error}");
}

#[test]
fn a_key_of_a_built_in_decoder_cannot_be_taken() {
    let mut table = DecoderTable::confirmed();
    table.switch_on(0x27).unwrap();
    let mine = decoder(0x27, "mine", vec![field("v1", 0x30, NumberType::U8)]);
    assert!(matches!(register(&mut table, &mine), Err(RegisterError::Key { .. })));
}

#[test]
fn a_field_must_lie_inside_the_record() {
    let past = decoder(0x2C, "past", vec![field("past", 0x43, NumberType::U16)]);
    let errors = past.layout().unwrap_err();
    assert_eq!(errors[0].path, "fields[0].offset");
    let last = decoder(0x2C, "last", vec![field("last", 0x42, NumberType::U16)]);
    last.layout().unwrap();
}

/// What the configuration may declare, mostly right.
fn declared() -> impl Strategy<Value = CustomDecoder> {
    use NumberType::{I8, I16, I32, U8, U16, U32};
    let types = prop::sample::select(vec![U8, I8, U16, I16, U32, I32]);
    let kind = prop_oneof![
        types.prop_map(|raw| (Some(raw), None)),
        (0..8_u8).prop_map(|bit| (None, Some(bit)))
    ];
    let number = || prop_oneof![1 => any::<f64>(), 9 => -100.0..100.0];
    let parts = move |length| {
        // The last one may end past the record.
        let offset =
            (0x18..=(0x16 + u16::from(length)).min(0xFF)).prop_map(|at| u8::try_from(at).unwrap());
        (offset, kind.clone(), number(), number())
    };
    (0x20..0xE0_u8, prop::option::of(any::<u16>()))
        .prop_flat_map(move |(length, record_type)| {
            let fields = prop::collection::vec(parts(length), 1..4);
            (Just(length), Just(record_type), fields)
        })
        .prop_map(|(length, record_type, fields)| CustomDecoder {
            length: Hex(length),
            name: "any".to_owned(),
            record_type: record_type.map(Hex),
            serial: Hex(0x1E),
            fields: fields
                .into_iter()
                .enumerate()
                .map(|(index, (offset, (raw, bit), divide, add))| CustomField {
                    raw,
                    bit,
                    divide: if bit.is_some() { 1.0 } else { divide },
                    add: if bit.is_some() { 0.0 } else { add },
                    ..field(&format!("key_{index}"), offset, NumberType::U8)
                })
                .collect(),
        })
}

proptest! {
    #[test]
    fn a_decoder_that_is_accepted_reads_any_record_of_its_length(
        custom in declared(),
        bytes in prop::collection::vec(any::<u8>(), 256),
    ) {
        let layout = custom.layout();
        // Too many of these fail the test: it would say nothing.
        prop_assume!(layout.is_ok());
        let mut table = DecoderTable::confirmed();
        table.register(Box::new(TableDecoder::new(layout.unwrap()))).unwrap();
        let length = custom.length.0;
        let mut payload = vec![0; RECORDS];
        payload[..4].copy_from_slice(&MAGIC);
        payload.push(length);
        payload.extend(&bytes[..usize::from(length) - 1]);
        let frame = Frame::parse_payload(&payload).unwrap();
        let record = frame.records().next().unwrap();
        for decoder in table.decoders(&record) {
            if let Ok(reading) = decoder.decode(&record) {
                let line = Json(&reading).to_string();
                prop_assert!(!line.contains("NaN") && !line.contains("inf"), "no JSON: {}", line);
            }
        }
    }
}
