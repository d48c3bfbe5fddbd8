//! A reading as a point: one line of InfluxDB's line protocol.
//!
//! ```text
//! myenergi,name=Hot\ water,serial=17589669,site=home grid_pwr=-12,gen_pwr=1543 1781953323123456
//! ```
//!
//! The time is in microseconds, as a capture has it. A coarser one would not do: the records of one
//! second have nothing but their times to tell them apart, and two points of one time and the same
//! tags are one point.
//!
//! A field keeps its type, which the server insists on: a number is a float, so no `i` is
//! ever written; a flag is a boolean.

use std::collections::BTreeMap;
use std::io::Write;

use energi_decoders::{Reading, Value};
use jiff::Timestamp;

use crate::queue::Payload;

/// The measurement of every point.
pub const MEASUREMENT: &str = "myenergi";

/// Encodes readings of one site as points.
#[derive(Debug, Clone)]
pub struct LineEncoder {
    /// The `name` tag of each device that has one, with its comma.
    names: BTreeMap<u32, String>,
    /// The `site` tag with its comma, if there is one.
    site: String,
}

impl LineEncoder {
    /// An encoder that tags points with the site's label and the devices' names.
    #[must_use]
    pub fn new(site: Option<&str>, names: &BTreeMap<u32, String>) -> Self {
        let names = names.iter().map(|(serial, name)| (*serial, tag("name", name))).collect();
        Self { names, site: site.map(|site| tag("site", site)).unwrap_or_default() }
    }

    /// Adds the point of a reading. Returns whether there is one: a reading without a time has no
    /// place in a time series.
    pub fn reading(&self, reading: &Reading, points: &mut Payload) -> bool {
        let fields = reading.fields().map(|(field, value)| (field.key(), value));
        reading.time.is_some_and(|time| self.point(reading.serial, time, fields, points))
    }

    /// Adds the point of a device at a time. Returns whether there is one: a point has a field at
    /// least.
    pub fn point<'a>(
        &self,
        serial: u32,
        time: Timestamp,
        fields: impl Iterator<Item = (&'a str, Value)>,
        points: &mut Payload,
    ) -> bool {
        let start = points.data.len();
        // Tags in the order of their keys: that spares the server sorting them.
        let name = self.names.get(&serial).map_or("", String::as_str);
        let line = &mut points.data;
        let mut written = write!(line, "{MEASUREMENT}{name},serial={serial}{}", self.site);
        let mut separator = b' ';
        for (key, value) in fields {
            // No server takes these for a number; a custom decoder's division may make one.
            if !value.as_f64().is_finite() {
                continue;
            }
            line.push(separator);
            escape(key, line);
            written = written.and(write!(line, "={}", value.quoted()));
            separator = b',';
        }
        if separator == b' ' || written.is_err() {
            line.truncate(start);
            return false;
        }
        let _infallible = writeln!(line, " {}", time.as_microsecond());
        points.items += 1;
        true
    }
}

/// `,key=value`; nothing where the value is empty, which no server takes.
fn tag(key: &str, value: &str) -> String {
    let mut escaped = Vec::new();
    escape(value, &mut escaped);
    let value = String::from_utf8_lossy(&escaped);
    if value.is_empty() { String::new() } else { format!(",{key}={value}") }
}

/// Writes a tag's value or a field's key so that every server reads it back as one.
///
/// Comma, equals sign and space take a backslash. What line protocol has no way to write is written
/// as something else: control characters (a line break is the end of a point) as spaces, and a
/// backslash as a slash, since servers differ on what two of them mean.
fn escape(text: &str, line: &mut Vec<u8>) {
    for character in text.trim().chars() {
        match character {
            ',' => line.extend(b"\\,"),
            '=' => line.extend(b"\\="),
            ' ' => line.extend(b"\\ "),
            '\\' => line.push(b'/'),
            control if control.is_control() => line.extend(b"\\ "),
            other => line.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use energi_decoders::{DecoderTable, Frame};
    use proptest::prelude::*;

    use super::*;

    const TIME: Timestamp = Timestamp::constant(1_781_953_323, 123_456_000);

    fn encoder(site: Option<&str>, name: &str) -> LineEncoder {
        LineEncoder::new(site, &BTreeMap::from([(7, name.to_owned())]))
    }

    fn line(encoder: &LineEncoder, serial: u32, fields: &[(&str, Value)]) -> String {
        let mut points = Payload::default();
        encoder.point(serial, TIME, fields.iter().copied(), &mut points);
        let line = points.text().into_owned();
        assert_eq!(points, Payload::from(line.clone()));
        line
    }

    #[test]
    fn a_point_is_a_line_of_the_write_api() {
        let fields = [
            ("grid_pwr", Value::Integer(-12)),
            ("frequency", Value::Float(50.01)),
            ("diverted_kWh", Value::Float(5.0)),
            ("boost", Value::Flag(true)),
            ("stopped", Value::Flag(false)),
            ("0x36/v1", Value::Integer(3)),
        ];
        let values = "grid_pwr=-12,frequency=50.01,diverted_kWh=5.0,boost=true,stopped=false,\
                      0x36/v1=3 1781953323123456\n";
        for (site, name, tags) in [
            (Some("home"), "Hot water", "myenergi,name=Hot\\ water,serial=7,site=home "),
            (Some("a=b, c"), "", "myenergi,serial=7,site=a\\=b\\,\\ c "),
            (None, " \t", "myenergi,serial=7 "),
            (
                Some("C:\\attic\\"),
                "two\nlines",
                "myenergi,name=two\\ lines,serial=7,site=C:/attic/ ",
            ),
        ] {
            assert_eq!(line(&encoder(site, name), 7, &fields), format!("{tags}{values}"));
        }
        let other = line(&encoder(None, "Hot water"), 8, &fields);
        assert!(other.starts_with("myenergi,serial=8 "), "the name is another device's: {other}");
    }

    #[test]
    fn without_a_time_or_a_number_there_is_no_point() {
        let encoder = encoder(None, "");
        assert_eq!(line(&encoder, 7, &[]), "");
        assert_eq!(line(&encoder, 7, &[("a", Value::Float(f64::NAN))]), "");
        let some = [("a", Value::Float(f64::INFINITY)), ("b", Value::Flag(true))];
        assert_eq!(line(&encoder, 7, &some), "myenergi,serial=7 b=true 1781953323123456\n");

        let mut payload = [0; 0x18 + 0x22];
        payload[..4].copy_from_slice(&[0xcb, 0xda, 0xe9, 0xf8]);
        payload[0x18] = 0x22;
        payload[0x1e] = 7;
        let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
        let mut reading = DecoderTable::confirmed().decode(&record).next().unwrap().unwrap();
        let mut points = Payload::default();
        assert!(!encoder.reading(&reading, &mut points) && points.is_empty());
        reading.time = Some(TIME);
        assert!(encoder.reading(&reading, &mut points));
        assert_eq!(points.items, 1);
    }

    #[test]
    fn a_key_has_one_type_in_every_packet() {
        // A flag is a bit and a number anything else: a server that has seen one refuses the other.
        let table = DecoderTable::built_in();
        let mut types = BTreeMap::new();
        for field in table.iter().flat_map(|decoder| decoder.layout().fields.iter()) {
            let flag = matches!(field.value(1), Value::Flag(_));
            assert_eq!(*types.entry(field.key().to_owned()).or_insert(flag), flag);
        }
        for key in ["boost", "heater1", "heater2", "stopped"] {
            assert!(types[key], "{key} is a flag");
        }
        assert!(!types["grid_pwr"], "a power is a number");
    }

    /// Reads a text up to the first of `ends` that no backslash stands before, as servers do, and
    /// what is left.
    fn unescape<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
        let (mut read, mut characters) = (String::new(), text.char_indices());
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => read.extend(characters.next().map(|(_, escaped)| escaped)),
                end if ends.contains(&end) => return (read, &text[at..]),
                other => read.push(other),
            }
        }
        (read, "")
    }

    proptest! {
        #[test]
        fn a_point_reads_back_whatever_its_names(
            site in ".*", name in ".*", value: i32
        ) {
            let written = line(&encoder(Some(&site), &name), 7, &[("a", Value::Integer(value.into()))]);
            prop_assert_eq!(written.matches('\n').count(), 1);
            let plain = |text: &str| {
                let spaced = text.trim().replace(|c: char| c.is_control(), " ");
                spaced.replace('\\', "/")
            };
            let (measurement, mut rest) = unescape(&written, &[',', ' ']);
            prop_assert_eq!(measurement, MEASUREMENT);
            let mut tags = Vec::new();
            while let Some(tag) = rest.strip_prefix(',') {
                let (key, value) = unescape(tag, &['=']);
                let (value, after) = unescape(&value[1..], &[',', ' ']);
                tags.push((key, value));
                rest = after;
            }
            let expected: Vec<_> = [("name", plain(&name)), ("serial", "7".into()), ("site", plain(&site))]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            prop_assert_eq!(tags, expected);
            prop_assert_eq!(rest, format!(" a={value} 1781953323123456\n"));
        }
    }
}
