//! Readings and unknown records as lines of JSON, the same in every output that gives JSON.

use std::fmt;

use jiff::Timestamp;

use crate::frame::{MacAddress, Record};
use crate::reading::Reading;

/// Writes a reading as `{"time":…,"serial":…,"mac":…,"packet":…,"experimental":…,"fields":{…}}`,
/// without a line break.
///
/// Keys need no escaping: those of built-in decoders are plain, and those of custom decoders are
/// held to the same characters when they are declared.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(pub &'a Reading);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(reading) = self;
        let origin = Origin { time: reading.time, serial: Some(reading.serial), mac: reading.mac };
        origin.fmt(f)?;
        let (packet, experimental) = (reading.packet(), reading.experimental());
        write!(f, r#""packet":"0x{packet:02X}","experimental":{experimental},"fields":{{"#)?;
        // Without format strings, which are most of the time that a replay prints for.
        let mut separator = "\"";
        for (field, value) in reading.fields() {
            f.write_str(separator)?;
            f.write_str(field.key())?;
            f.write_str("\":")?;
            value.quoted().fmt(f)?;
            separator = ",\"";
        }
        f.write_str("}}")
    }
}

/// Writes a record that no decoder reads, as
/// `{"time":…,"mac":…,"packet":…,"record_type":…,"raw":…}`, without a line break.
#[derive(Debug, Clone, Copy)]
pub struct UnknownJson<'a> {
    /// Time of the capture.
    pub time: Option<Timestamp>,
    /// The frame's sender.
    pub mac: Option<MacAddress>,
    /// The record.
    pub record: Record<'a>,
}

impl fmt::Display for UnknownJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packet, record_type) = (self.record.length(), self.record.record_type());
        Origin { time: self.time, mac: self.mac, serial: None }.fmt(f)?;
        write!(f, r#""packet":"0x{packet:02X}","record_type":"0x{record_type:04X}","raw":"0x"#)?;
        for byte in self.record.bytes() {
            write!(f, "{byte:02X}")?;
        }
        f.write_str("\"}")
    }
}

/// First members of every line: time, device and sender.
struct Origin {
    time: Option<Timestamp>,
    serial: Option<u32>,
    mac: Option<MacAddress>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, r#"{{"time":"{time:.6}","#)?,
            None => f.write_str(r#"{"time":null,"#)?,
        }
        if let Some(serial) = self.serial {
            write!(f, r#""serial":{serial},"#)?;
        }
        match self.mac {
            Some(mac) => write!(f, r#""mac":"{mac}","#),
            None => f.write_str(r#""mac":null,"#),
        }
    }
}
