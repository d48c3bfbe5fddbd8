//! A record's values as they are stored: a JSON array in the order of its fields.

use std::fmt::{self, Write};

use energi_decoders::Reading;
use serde::de::{Deserialize, Deserializer, Visitor};

/// Writes the values of `reading` to `text`, null for what was withheld and for what is no finite
/// number.
pub(super) fn write(text: &mut String, reading: &Reading) {
    text.clear();
    text.push('[');
    for (index, (_, value)) in reading.slots().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let _infallible = match value {
            // JSON has no name for a number without end.
            Some(value) if value.as_f64().is_finite() => write!(text, "{value}"),
            _ => write!(text, "null"),
        };
    }
    text.push(']');
}

/// Reads values back; flags are 0 and 1.
pub(super) fn read(text: &str) -> serde_json::Result<Vec<Option<f64>>> {
    let values: Vec<Number> = serde_json::from_str(text)?;
    Ok(values.into_iter().map(|Number(value)| value).collect())
}

struct Number(Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Self)
    }
}

struct NumberVisitor;

#[expect(clippy::cast_precision_loss, reason = "raw values have 32 bits at most")]
impl Visitor<'_> for NumberVisitor {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a flag or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(f64::from(u8::from(flag))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::field::{Raw, Status};
    use energi_decoders::{Decoder, Field, Frame, Layout, TableDecoder};

    #[test]
    fn a_number_without_end_is_stored_as_none() {
        let field = |key| Field::unknown(key, "", 0x1E, Raw::U16);
        let layout = Layout {
            length: 0x14,
            name: "endless".into(),
            status: Status::Declared,
            record_type: None,
            serial: 0x24,
            fields: vec![field("endless").per(1e-308), field("plain")].into(),
        };
        let mut payload = [0xFF; 0x18 + 0x14];
        payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
        payload[0x18] = 0x14;
        let frame = Frame::parse_payload(&payload).unwrap();
        let record = frame.records().next().unwrap();
        let reading = TableDecoder::new(layout).decode(&record).unwrap();
        let mut text = String::new();
        super::write(&mut text, &reading);
        assert_eq!(text, "[null,65535]");
    }

    #[test]
    fn numbers_flags_and_what_was_withheld_read_back() {
        let values = super::read("[-12,50.01,true,null,false]").unwrap();
        assert_eq!(values, [Some(-12.0), Some(50.01), Some(1.0), None, Some(0.0)]);
    }
}
