//! Findings as a decoder that the configuration can declare.

use std::collections::BTreeSet;
use std::fmt::Write;

use energi_decoders::custom::{CustomDecoder, CustomField, Hex, NumberType};
use energi_decoders::layout::SERIAL;
use energi_decoders::{Raw, packets};

use super::View;
use super::correlate::Finding;
use super::exact::ExactMatch;
use super::outside;
use super::series::RecordSeries;

/// A field that explains less of its metric than this is not proposed beside a better one.
const WORTH: f64 = 0.9;

/// Records that must show a device's serial number where one is said to stand.
const SHOWN: f64 = 0.9;

/// Returns where the records show the serial number of one of `devices`.
#[must_use]
pub fn serial_offset(series: &RecordSeries, devices: &BTreeSet<u32>) -> Option<u8> {
    let shows = |view: &View| {
        let read = view.reader();
        let hits = series.records().filter(|(_, record)| {
            u32::try_from(read(record)).is_ok_and(|serial| devices.contains(&serial))
        });
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = hits.count() as f64 / series.records().len().max(1) as f64;
        share >= SHOWN
    };
    let mut places = View::numbers(series.key.length).filter(|view| view.raw == Raw::U32);
    places.find(shows).map(|view| view.offset)
}

/// The decoder that reads the best finding for each metric. `None` without findings. `serial` is
/// where the device's number stands, if known; `record_type` says whether the length alone
/// does not tell the records.
#[must_use]
pub fn decoder(
    series: &RecordSeries,
    findings: &[Finding<'_>],
    serial: Option<u8>,
    record_type: bool,
) -> Option<CustomDecoder> {
    let length = series.key.length;
    let mut taken = packets::reader(length, series.key.record_type, None)
        .layout()
        .map_or_else(BTreeSet::new, |layout| {
            layout.fields.iter().map(|field| field.key().to_owned()).collect()
        });
    let mut fields: Vec<CustomField> = Vec::new();
    let mut metrics = BTreeSet::new();
    for (index, finding) in findings.iter().enumerate() {
        let metric = &finding.known.metric;
        if !metrics.insert(&metric.key) || (index > 0 && finding.explained < WORTH) {
            continue;
        }
        let mut key = metric.key.to_string();
        if !taken.insert(format!("0x{length:02X}/{key}")) {
            let _ = write!(key, "_{:02X}", finding.view.offset);
        }
        let (raw, bit) = match finding.view.raw {
            Raw::Bit(bit) => (None, Some(bit)),
            number => (number_type(number), None),
        };
        let range = [metric.range.0, metric.range.1];
        fields.push(CustomField {
            key,
            offset: Some(Hex(finding.view.offset)),
            entry: None,
            channel: None,
            at: None,
            raw,
            bit,
            divide: finding.fit.map_or(1.0, |fit| fit.divide),
            add: finding.fit.map_or(0.0, |fit| fit.add),
            unit: metric.unit.to_string(),
            range: range.iter().all(|end| end.is_finite()).then_some(range),
        });
    }
    (!fields.is_empty()).then(|| CustomDecoder {
        length: Hex(length),
        name: format!("found in 0x{length:02X}"),
        record_type: record_type.then_some(Hex(series.key.record_type)),
        serial: Hex(serial.unwrap_or(SERIAL)),
        fields,
    })
}

/// The decoder that reads words which equal a series from outside: each word once, under the name of
/// the first series that it equals. The cloud's fields get their units.
#[must_use]
pub fn exact(
    series: &RecordSeries,
    matches: &[ExactMatch],
    serial: Option<u8>,
    record_type: bool,
    cloud: bool,
) -> CustomDecoder {
    let length = series.key.length;
    let mut fields: Vec<CustomField> = Vec::new();
    for found in matches {
        let taken = |field: &CustomField| field.offset == Some(Hex(found.view.offset));
        if fields.iter().any(taken) {
            continue;
        }
        let mut key: String = found.name.chars().map(key_character).collect();
        if fields.iter().any(|field| field.key == key) {
            let _ = write!(key, "_{:02X}", found.view.offset);
        }
        let unit = cloud.then(|| outside::cloud_unit(&found.name));
        let divide = unit.map_or(1.0, |unit| unit.per) / found.scale;
        fields.push(CustomField {
            key,
            offset: Some(Hex(found.view.offset)),
            entry: None,
            channel: None,
            at: None,
            raw: number_type(found.view.raw),
            bit: None,
            // 1 / 60 and its like are no exact numbers.
            divide: (divide * 1e9).round() / 1e9,
            add: 0.0,
            unit: unit.map_or("", |unit| unit.unit).to_owned(),
            range: None,
        });
    }
    CustomDecoder {
        length: Hex(length),
        name: format!("found in 0x{length:02X}"),
        record_type: record_type.then_some(Hex(series.key.record_type)),
        serial: Hex(serial.unwrap_or(SERIAL)),
        fields,
    }
}

const fn key_character(character: char) -> char {
    if character.is_ascii_alphanumeric() { character } else { '_' }
}

const fn number_type(raw: Raw) -> Option<NumberType> {
    Some(match raw {
        Raw::U8 => NumberType::U8,
        Raw::I8 => NumberType::I8,
        Raw::U16 => NumberType::U16,
        Raw::I16 => NumberType::I16,
        Raw::U32 => NumberType::U32,
        Raw::I32 => NumberType::I32,
        Raw::Bit(_) | Raw::Bits { .. } => return None,
    })
}

/// The decoder as a `decoders` section for people to paste, a field a line.
#[must_use]
pub fn yaml(decoder: &CustomDecoder) -> String {
    let mut text = String::from("decoders:\n  custom:\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "    - length: \"{}\"\n      name: {}", decoder.length, decoder.name);
    if let Some(record_type) = decoder.record_type {
        let _ = writeln!(text, "      record_type: \"0x{:04X}\"", record_type.0);
    }
    let _ = writeln!(text, "      serial: \"{}\"\n      fields:", decoder.serial);
    for field in &decoder.fields {
        let _ = write!(text, "        - {{key: {}, ", field.key);
        // What is found stands at a fixed place.
        if let Some(offset) = field.offset {
            let _ = write!(text, "offset: \"{offset}\"");
        }
        if let Some(raw) = field.raw {
            let raw = Raw::from(raw);
            let _ = write!(text, ", type: {}", raw.name());
            let _ = write!(text, ", divide: {}, add: {}", field.divide, field.add);
        }
        if let Some(bit) = field.bit {
            let _ = write!(text, ", bit: {bit}");
        }
        if !field.unit.is_empty() {
            let _ = write!(text, ", unit: \"{}\"", field.unit);
        }
        if let Some([least, greatest]) = field.range {
            let _ = write!(text, ", range: [{least}, {greatest}]");
        }
        text.push_str("}\n");
    }
    text
}
