//! A record's values as they are stored: a JSON array in the order of its fields.

use std::fmt::{self, Write};

use energi_decoders::{Reading, Value, packets};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

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
            Some(value) => write!(text, "{}", value.quoted()),
            None => write!(text, "null"),
        };
    }
    text.push(']');
}

/// Reads values back.
pub(super) fn read(text: &str) -> serde_json::Result<Vec<Option<Value>>> {
    let values: Vec<Stored> = serde_json::from_str(text)?;
    Ok(values.into_iter().map(|Stored(value)| value).collect())
}

struct Stored(Option<Value>);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StoredVisitor).map(Self)
    }
}

struct StoredVisitor;

impl Visitor<'_> for StoredVisitor {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a flag, a word or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Integer(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let unexpected = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        i64::try_from(number).map(|number| Some(Value::Integer(number))).map_err(unexpected)
    }

    /// A word that no decoder of this release has is left out.
    fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
        Ok(packets::choice(word).map(Value::Choice))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::Float(number)))
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::field::Raw;
    use energi_decoders::{Decoder, Field, Frame, Layout, TableDecoder, Value};

    #[test]
    fn a_number_without_end_is_stored_as_none() {
        let field = |key| Field::unknown(key, "", 0x1E, Raw::U16);
        let mut layout = Layout::experimental(0x14, "endless", &[]).serial_at(0x24);
        layout.fields = vec![field("endless").per(1e-308), field("plain")].into();
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
    fn a_word_that_no_decoder_has_is_left_out() {
        assert_eq!(
            super::read(r#"["no word of any device",7]"#).unwrap(),
            [None, Some(Value::Integer(7))]
        );
    }

    #[test]
    fn every_stored_value_reads_back() {
        let values = super::read("[-12,50.01,5.0,true,null,false]").unwrap();
        let numbers = [Value::Integer(-12), Value::Float(50.01), Value::Float(5.0)].map(Some);
        let flags = [Some(Value::Flag(true)), None, Some(Value::Flag(false))];
        assert_eq!(values, [numbers, flags].concat());
    }
}
