//! Decoders declared in the configuration: what they read, and what they may not be.

use energi_decoders::custom::{CustomDecoder, CustomField, DeclaredHead, Hex, NumberType};
use energi_decoders::frame::{MAGIC, RECORDS};
use energi_decoders::json::Json;
use energi_decoders::{Class, DecoderTable, EntryHead, Frame, RegisterError, Switch, TableDecoder};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};

fn field(key: &str, offset: u8, raw: NumberType) -> CustomField {
    CustomField {
        key: key.to_owned(),
        offset: Some(Hex(offset)),
        entry: None,
        channel: None,
        at: None,
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
    let readings = table.decode(&record).flatten();
    readings
        .map(|reading| {
            let line = Json(&reading).to_string();
            line.split_once(r#""experimental":"#).unwrap().1.to_owned()
        })
        .collect()
}

#[test]
fn the_unit_tells_the_class_that_home_assistant_shows() {
    for (unit, class) in [
        ("W", Class::Power),
        ("V", Class::Voltage),
        ("A", Class::Current),
        ("Hz", Class::Frequency),
        ("°C", Class::Temperature),
        ("rpm", Class::Unknown),
    ] {
        let field = CustomField { unit: unit.to_owned(), ..field("x", 0x22, NumberType::U16) };
        let layout = decoder(0x2C, "a", vec![field]).layout().unwrap();
        assert_eq!(layout.fields[0].metric.class, class, "{unit}");
    }
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

/// Number of a byte, read as a configuration reads it.
fn number_of(text: &str) -> Result<Hex<u8>, value::Error> {
    let text: StrDeserializer<'_, value::Error> = text.into_deserializer();
    Hex::deserialize(text)
}

#[test]
fn a_number_is_hexadecimal_or_decimal() {
    for (text, number) in [("0x2C", 0x2C), ("0X2c", 0x2C), ("44", 44), ("0xFF", 255)] {
        assert_eq!(number_of(text), Ok(Hex(number)), "{text}");
    }
}

#[test]
fn a_number_with_a_sign_or_too_large_is_refused() {
    for text in ["", "0x", "2C", "0x100", "256", "+44", "0x+2C", "-1", "0x2C "] {
        let error = number_of(text).unwrap_err().to_string();
        assert!(error.contains("8 bits"), "{error}");
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
fn it_yields_a_reading_after_a_confirmed_one() {
    let mine = decoder(0x1F, "mine", vec![field("tank_temp", 0x30, NumberType::U8)]);
    let mut table = DecoderTable::confirmed();
    register(&mut table, &mine).unwrap();
    let lines = decode(&table, 0x1F, &[(0x30, &[42])]);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""frequency":0.0"#));
    assert_eq!(lines[1], r#"true,"fields":{"0x1F/tank_temp":42}}"#);
}

#[test]
fn it_replaces_an_experimental_one_in_any_order() {
    let mine = r#"true,"fields":{"0x27/mine":42}}"#;
    for (record_type, taken, left) in [
        (None, &[0x3510, 0x1234][..], &[][..]),
        (Some(0x3510), &[0x3510], &[0x1234]),
        // A record that the built-in decoder refuses anyway.
        (Some(0x3730), &[0x3730], &[0x3510, 0x1234]),
    ] {
        for declared_first in [true, false] {
            let mut custom = decoder(0x27, "mine", vec![field("mine", 0x30, NumberType::U8)]);
            custom.record_type = record_type.map(Hex);
            let mut table = DecoderTable::confirmed();
            if declared_first {
                register(&mut table, &custom).unwrap();
            }
            table.switch_on(Switch::Length(0x27)).unwrap();
            if !declared_first {
                register(&mut table, &custom).unwrap();
            }
            let read = |record_type: u16| {
                decode(&table, 0x27, &[(0x1A, &record_type.to_le_bytes()), (0x30, &[42])])
            };
            for record_type in taken {
                assert_eq!(read(*record_type), [mine], "{record_type:#06X}");
            }
            for record_type in left {
                let lines = read(*record_type);
                assert!(lines.len() == 1 && lines[0].contains("0x27/frequency"), "{lines:?}");
            }
        }
    }
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
fn a_key_of_a_replaced_decoder_has_its_new_meaning() {
    let mut mine = decoder(0x27, "mine", vec![field("v1", 0x30, NumberType::U8)]);
    mine.record_type = Some(Hex(0x3510));
    let mut table = DecoderTable::confirmed();
    table.switch_on(Switch::Length(0x27)).unwrap();
    register(&mut table, &mine).unwrap();
    let keys: Vec<_> = table.iter().flat_map(|it| it.layout().fields.iter()).collect();
    assert_eq!(keys.iter().filter(|field| field.key() == "0x27/v1").count(), 1);
}

#[test]
fn a_declared_key_has_one_meaning() {
    let mut one = decoder(0x2C, "one", vec![field("level", 0x30, NumberType::U8)]);
    one.record_type = Some(Hex(1));
    let mut two = one.clone();
    (two.name, two.record_type) = ("two".to_owned(), Some(Hex(2)));
    two.fields[0].unit = "W".to_owned();
    let mut table = DecoderTable::confirmed();
    register(&mut table, &one).unwrap();
    assert!(matches!(register(&mut table, &two), Err(RegisterError::Key { .. })));
}

#[test]
fn a_field_may_stand_in_an_entry_wherever_that_is() {
    let power = CustomField {
        offset: None,
        entry: Some(DeclaredHead(EntryHead::Exact(0x08))),
        channel: Some(2),
        at: Some(Hex(4)),
        ..field("power", 0, NumberType::I16)
    };
    let mut table = DecoderTable::confirmed();
    register(&mut table, &decoder(0x2C, "mine", vec![power.clone()])).unwrap();
    let kind: (usize, &[u8]) = (0x1A, &[0x10, 0x35]);
    let ct = [0x08, 0x21, 0, 0, 0xE8, 0x03, 0, 0];
    let (last, other) = ([0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x08, 0x31, 0, 0, 1, 1, 0, 0]);
    for entries in [[&ct[..], &last].concat(), [&last[..], &ct].concat()] {
        let lines = decode(&table, 0x2C, &[kind, (0x30, &entries)]);
        assert_eq!(lines, [r#"true,"fields":{"0x2C/power":1000}}"#]);
    }
    let nothing: [(&str, Vec<u8>); 4] = [
        ("another channel alone", [&other[..], &last].concat()),
        ("an entry of size 0", [&ct[..], &[0; 12]].concat()),
        ("an entry past the end", [&ct[..], &[0x0F; 12]].concat()),
        ("another type", [&ct[..], &last].concat()),
    ];
    for (what, entries) in nothing {
        let kind = if what == "another type" { (0x1A, &[0x11, 0x35][..]) } else { kind };
        assert!(decode(&table, 0x2C, &[kind, (0x30, &entries)]).is_empty(), "{what}");
    }
    for (problem, wrong) in [
        ("at", CustomField { at: None, ..power.clone() }),
        ("at", CustomField { at: Some(Hex(7)), ..power.clone() }),
        ("channel", CustomField { channel: Some(16), ..power.clone() }),
        ("offset", CustomField { offset: Some(Hex(0x30)), ..power.clone() }),
        ("offset", CustomField { entry: None, ..power.clone() }),
        ("offset", CustomField { channel: Some(1), ..field("power", 0x30, NumberType::I16) }),
    ] {
        let errors = decoder(0x2C, "wrong", vec![wrong]).layout().unwrap_err();
        assert_eq!(errors[0].path, format!("fields[0].{problem}"));
    }
    let mut harvi = decoder(0x2C, "wrong", vec![power]);
    harvi.record_type = Some(Hex(0x3730));
    assert_eq!(harvi.layout().unwrap_err()[0].path, "fields[0].entry");
}

#[test]
fn the_head_of_an_entry_reads_back_as_it_is_written() {
    let read = |text: &str| {
        let text: StrDeserializer<'_, value::Error> = text.into_deserializer();
        DeclaredHead::deserialize(text)
    };
    for text in ["0x08", "0x14", "0x?3"] {
        assert_eq!(read(text).unwrap().0.to_string(), text);
    }
    for text in ["0x10", "0x?0", "0x?33", "?3", "0x?+", ""] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_field_must_lie_inside_the_record() {
    let past = decoder(0x2C, "past", vec![field("past", 0x43, NumberType::U16)]);
    let errors = past.layout().unwrap_err();
    assert_eq!(errors[0].path, "fields[0].offset");
    assert!(errors[0].to_string().contains("0x18 to 0x43"), "{}", errors[0]);
    let last = decoder(0x2C, "last", vec![field("last", 0x42, NumberType::U16)]);
    last.layout().unwrap();
}

/// Returns what the configuration may declare, mostly right.
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
    fn an_accepted_decoder_reads_any_record_of_its_length(
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
        for reading in table.decode(&record).flatten() {
            let line = Json(&reading).to_string();
            prop_assert!(!line.contains("NaN") && !line.contains("inf"), "no JSON: {}", line);
        }
    }
}
